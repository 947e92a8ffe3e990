// Package stress_test drives the real program as processes: many at once, some of them killed, some with the index deleted
// under them. What must hold afterwards is in inspect_test.go, and each of its questions has a test that shows it to fail.
package stress_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// seed begins the random numbers of a test, and is logged. SHERATAN_SEED repeats those of another run.
func seed(t *testing.T) uint64 {
	t.Helper()
	n := uint64(time.Now().UnixNano())
	if text := os.Getenv("SHERATAN_SEED"); text != "" {
		var err error
		if n, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("SHERATAN_SEED: %v", err)
		}
	}
	t.Logf("SHERATAN_SEED=%d", n)
	return n
}

// binary is the program under test, built once.
var binary string

// long asks for the long form of the tests.
var long = os.Getenv("SHERATAN_LONG") != ""

func TestMain(m *testing.M) {
	if len(os.Args) == 6 && os.Args[1] == "mark" {
		os.Exit(mark(os.Args[2], os.Args[3], os.Args[4], os.Args[5]))
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "stress-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "sheratan")
	args := []string{"build", "-o", binary}
	if raceDetector {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "github.com/sheratan/sheratan/cmd/sheratan")...)
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "go build:", err)
		return 1
	}
	return m.Run()
}

// mark is a program with an effect that cannot be undone and shows when it happens twice: it adds a line to a file, then
// sleeps and exits as it is told.
func mark(file, line, millis, code string) int {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err == nil {
		_, err = f.WriteString(line + "\n")
	}
	n, convErr := strconv.Atoi(millis)
	exit, codeErr := strconv.Atoi(code)
	if err != nil || convErr != nil || codeErr != nil {
		fmt.Fprintln(os.Stderr, err, convErr, codeErr)
		return 2
	}
	time.Sleep(time.Duration(n) * time.Millisecond)
	return exit
}
