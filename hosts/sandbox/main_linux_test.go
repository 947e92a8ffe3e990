//go:build amd64 || arm64

package sandbox

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// What an attempt to escape ends with.
const (
	exitEscaped = 10
	exitRefused = 11
	exitUnknown = 12
)

func TestMain(m *testing.M) {
	Main()
	if name := os.Getenv("ATTEMPT"); name != "" {
		os.Exit(attemptMain(name))
	}
	os.Exit(m.Run())
}

// attemptMain is the program that jobs of the escape suite execute.
func attemptMain(name string) int {
	if level, nested := strings.CutPrefix(name, "nested "); nested {
		return runNested(Level(level))
	}
	if name == "own sockets" {
		return ownSockets()
	}
	if level, ok := strings.CutPrefix(name, "exhausted "); ok {
		return exhaustedMain(Level(level))
	}
	if name == "probe-exhausted" {
		return probeExhaustedMain()
	}
	if name == "self" {
		p := strings.Split(os.Getenv("SELF"), "\n")
		return selfMain(p[0], p[1], p[2])
	}
	if name == "sweep" {
		return sweepOrphans()
	}
	for _, a := range allAttempts() {
		if a.name == name {
			err := a.try(victim())
			fmt.Println(err)
			if err == nil {
				return exitEscaped
			}
			return exitRefused
		}
	}
	return exitUnknown
}
