// Package cli is the command line of Sheratan: flags, text and exit codes over package pipeline. It is the only place
// that knows environment variables and terminals. Each command is one file; the process it runs in is a value, so that
// most tests need none.
package cli

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Env is the process as the commands see it.
type Env struct {
	Args    []string // without the name of the program
	Dir     string   // the working directory; relative paths start here
	DirErr  error    // why Dir is not known
	Getenv  func(string) string
	Environ func() []string // for the editor that revise starts

	Stdin          io.Reader
	Stdout, Stderr io.Writer
	StdinTTY       bool
	StdoutTTY      bool
	StderrTTY      bool
	Raw            func() (restore func(), err error) // lets the terminal that stdin is deliver keys, and not lines; may be nil
	Size           func() (columns, rows int)         // of the terminal that stdout is; nil or 0 is not known

	Hurry <-chan struct{} // is closed when a second signal asks for the end of what runs; nil is never

	Now       func() time.Time                        // its location is the one in which times are shown
	Terminal  func() (io.ReadWriteCloser, error)      // where decisions are asked for, whatever the streams are
	InsideJob func(getenv func(string) string) string // the id of the job that this process runs in, or ""
}

// size returns the size of the terminal that stdout is, 0 where it is none or not known.
func (e *Env) size() (columns, rows int) {
	if !e.StdoutTTY || e.Size == nil {
		return 0, 0
	}
	return e.Size()
}

// columns is the width of the terminal that stdout is, 0 where it is none or not known.
func (e *Env) columns() int {
	n, _ := e.size()
	return n
}

// path returns p as seen from the working directory.
func (e *Env) path(p string) string {
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	return filepath.Join(e.Dir, p)
}

// OpenTerminal opens the controlling terminal of the process.
func OpenTerminal() (io.ReadWriteCloser, error) { return os.OpenFile("/dev/tty", os.O_RDWR, 0) }

// jobVariable is set in the environment of every job.
const jobVariable = "SHERATAN_JOB_ID"

// InsideJob returns the id of the job that this process or one of its ancestors runs in, "" where there is none. An
// ancestor whose environment cannot be read belongs to somebody else, and jobs of somebody else are not ours to ask.
// It guards against mistakes: a job that runs with the operator's uid can hide what it is.
func InsideJob(getenv func(string) string) string {
	if id := getenv(jobVariable); id != "" {
		return id
	}
	for pid, n := os.Getppid(), 0; pid > 1 && n < 100; n++ {
		if id := jobOf(pid); id != "" {
			return id
		}
		pid = parentOf(pid)
	}
	return ""
}

// jobOf reads the job id from the environment that process pid was started with. Where there is no /proc it finds
// nothing, and what the own environment says has to do.
func jobOf(pid int) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return ""
	}
	for _, v := range strings.Split(string(b), "\x00") {
		if id, ok := strings.CutPrefix(v, jobVariable+"="); ok {
			return id
		}
	}
	return ""
}

// parentOf returns the parent of pid, 0 where it is not known. The name of the program stands in parentheses and may
// hold anything, so the fields are counted from the last one.
func parentOf(pid int) int {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b[strings.LastIndexByte(string(b), ')')+1:]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return 0
	}
	ppid, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0
	}
	return ppid
}
