// Command sheratan is a governed job runner: agents propose, gates decide, hosts execute, the ledger proves it.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/sheratan/sheratan/cmd/sheratan/internal/cli"
	"github.com/sheratan/sheratan/hosts/sandbox"
)

// gcPercent lets the heap, some ten megabytes that live, grow further before it is collected. A tick spends a tenth less
// processor time for it than with the default of 100.
const gcPercent = 400

func main() {
	sandbox.Main()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, hurry, stop := signalContext()
	env := processEnv()
	env.Hurry = hurry
	code := run(ctx, env)
	stop()
	os.Exit(code)
}

// run is the program as a function: everything that it takes from the process is in env.
func run(ctx context.Context, env cli.Env) int { return cli.Run(ctx, env) }

// processEnv is the process this runs in.
func processEnv() cli.Env {
	dir, err := os.Getwd()
	return cli.Env{
		Args: os.Args[1:], Dir: dir, DirErr: err, Getenv: os.Getenv, Environ: os.Environ,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Now: time.Now,
		StdinTTY:  term.IsTerminal(int(os.Stdin.Fd())),
		StdoutTTY: term.IsTerminal(int(os.Stdout.Fd())),
		StderrTTY: term.IsTerminal(int(os.Stderr.Fd())),
		Raw:       rawTerminal, Size: terminalSize,
		Terminal: cli.OpenTerminal, InsideJob: cli.InsideJob,
	}
}

// rawTerminal lets the terminal that stdin is deliver keys.
func rawTerminal() (restore func(), err error) {
	fd := int(os.Stdin.Fd())
	state, err := term.MakeRaw(fd)
	if err != nil {
		return nil, err
	}
	return func() { _ = term.Restore(fd, state) }, nil // a terminal that is gone needs none
}

// terminalSize is the size of the terminal that stdout is, as it is now.
func terminalSize() (columns, rows int) {
	columns, rows, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil {
		return 0, 0
	}
	return columns, rows
}

// signalContext ends the context at the first SIGINT, SIGTERM or SIGHUP, with the cause that the exit code needs. At the second
// signal hurry is closed: jobs that run are ended, and what became of them is recorded. The third finds the default behaviour and
// ends the process, which is always safe, but leaves it to the next command to find out what the jobs did.
func signalContext() (ctx context.Context, hurry <-chan struct{}, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	now := make(chan struct{})
	c := make(chan os.Signal, 2)
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		if s := <-c; s == syscall.SIGINT {
			cancel(cli.ErrInterrupted)
		} else {
			cancel(cli.ErrTerminated)
		}
		<-c
		close(now)
		signal.Stop(c)
	}()
	return ctx, now, func() { signal.Stop(c); cancel(errors.New("done")) }
}
