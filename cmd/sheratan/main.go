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
	ctx, stop := signalContext()
	code := run(ctx, processEnv())
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

// signalContext ends the context at the first SIGINT, SIGTERM or SIGHUP, with the cause that the exit code needs. The
// second signal finds the default behaviour and ends the process, which is always safe.
func signalContext() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		s := <-c
		signal.Stop(c)
		if s == syscall.SIGINT {
			cancel(cli.ErrInterrupted)
			return
		}
		cancel(cli.ErrTerminated)
	}()
	return ctx, func() { signal.Stop(c); cancel(errors.New("done")) }
}
