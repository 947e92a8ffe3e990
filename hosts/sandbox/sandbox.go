// Package sandbox starts one process, watches it, and ends it. It is shaped like os/exec.Cmd, and differs where a
// governed job differs from a child process:
//
//   - Environment, directory and standard streams are exactly what Cmd says; nothing is inherited.
//   - Output goes to files up to a limit, and is counted and thrown away beyond it, so that a flood costs neither memory
//     nor disk.
//   - The end of the process is the end of the attempt. What is left of its process group is killed, and nothing that a
//     job leaves behind can keep Run from returning.
//
// # Levels
//
// LevelFull and LevelRestricted confine a process to what a Confinement names; LevelNone only keeps it in a process group, and takes
// the capabilities of root from it.
//
//	                      full                                   restricted
//	files                 a root that has nothing else in it,    Landlock
//	                      and Landlock
//	processes of others   pid namespace, its own /proc           Landlock scope (ABI 6); command lines are visible
//	network               namespace, seccomp, Landlock           seccomp, Landlock
//	Unix sockets          its own, in its own folders            connected pairs only (before Landlock ABI 9)
//	FIFOs, devices        those named in Shut are closed         the same, and nothing new is made in the folder
//	repositories          those in Keep are read-only            the same, and nothing new is made in the folder
//	locks (flock)         of what it may change                  the same
//	/proc                 processes, and a list of files         all of it that the user may read
//	System V IPC          namespace for each job                 open
//	calls                 seccomp, no_new_privs                  the same
//	capabilities          none, nor ways to get any              the same
//	limits                of each process; processes of a job    the same; processes of root by control group
//	  of a whole job      memory and processor time by control   the same
//	                      group, files by looking
//	end of a job          kill(-1) in the pid namespace          kill(-1) in the Landlock scope
//	end of the runner     the kernel ends the pid namespace      the keeper ends the job
//
// What a level needs and the machine does not have is a StartError with ReasonConfine that names the primitive; no job
// ever runs at a lower level than its own. Probe says beforehand which level can be had. What restricted leaves open is
// what Landlock has no say about: stat, chmod, chown and times of files that their mode bits let the user reach.
//
// # Sockets
//
// A service that listens at a Unix socket acts for whoever connects, with rights of its own. At LevelFull a job without the
// network therefore connects to nothing but what was made in its own folders, or in its own namespace under an abstract
// name. A read-only mount does not refuse connect(2), and an address in memory can change after a filter has looked at it, so
// the kernel asks the keeper (seccomp user notification), which makes the call itself, on a copy of the address, with the
// socket file open. Datagrams are sent to a name by calls that are too frequent for this: there are none of them. Where the
// kernel asks somebody else already, as in some containers, and at LevelRestricted before Landlock ABI 9, a job has
// connected pairs only. Only in a job's own folders are sockets and FIFOs made at all.
//
// An overlay over what is read was tried as well: neither sockets nor FIFOs are reached through it. But a file that is made
// below it later is not seen where somebody looked for it before (Linux 6.18), and a keeper lives for a minute.
//
// # Keepers
//
// A job is started by a keeper: this program once more (Main), which stays in the namespaces and takes one job after the
// other of the same Confinement, over a socket. It costs ten milliseconds to make one (BenchmarkKeeper), so Keepers has
// them wait for the next job. A keeper is process 1 of its pid namespace, or the subreaper of its job, and so knows
// exactly what a job left: when the first process has ended and there is nothing more to wait for, nothing is left.
//
// Between clone and exec the child sets its own limits, gives up all capabilities, and restricts itself by Landlock and
// seccomp. Package syscall has no place for that, so vfork here has a few lines of assembly for each architecture. Three
// other ways were weighed. Restricting a thread of ours which then starts the job leaves out the limits, which belong to the
// process, and whatever shares the thread's domain may signal it. Stopping at exec with ptrace and setting limits then
// costs two more context switches for each job, and lets none of the rest be done. A helper for each job costs as much as
// a keeper.
//
// For an ordinary user the keeper is in a user namespace that maps nothing but the user. For root there is none: one more
// namespace would only open more of the kernel to jobs, which have no capabilities either way.
//
// # Level none
//
// A process that made itself a session of its own (setsid, a daemon) is out of reach of a process group. It is found by
// the mark in its environment when there is reason to look: after a timeout or a cancellation, or when somebody still
// holds the output after the group was killed. Looking through /proc costs some milliseconds, so it is not done after each
// attempt, and a daemon that closed its output outlives an attempt that ended by itself. One that also cleared its
// environment is never found. When the process that called Run dies, the kernel kills the job's first process (PDEATHSIG);
// Sweep is for what that one had started.
//
// What root starts there gives up its capabilities itself between clone and exec, as a keeper does for its jobs. It is made by clone, and
// not by clone3, which the filters of most containers refuse: just where root runs jobs without a sandbox.
//
// # Cost
//
// Run costs one thread for as long as it lasts, and no goroutine. On two cores, two at a time, `true` was started and ended
// 1,990 times a second at none, 1,600 at restricted and 1,530 at full; xargs -P2 -n1 made 1,790, and bwrap
// --unshare-all 430. As an ordinary user it was the same. BenchmarkTrue measures all of them beside each other.
package sandbox

import (
	"context"
	"errors"
	"syscall"
	"time"
)

// Level is how far a job is confined.
type Level string

// The levels, from the strongest.
const (
	LevelFull       Level = "full"
	LevelRestricted Level = "restricted"
	LevelNone       Level = "none"
)

// Defaults of a Cmd.
const (
	DefaultGrace        = 5 * time.Second        // from SIGTERM to SIGKILL when a job is cancelled
	DefaultTimeoutGrace = 50 * time.Millisecond  // the same at its timeout, which is a promise
	DefaultWaitDelay    = 100 * time.Millisecond // for a background child to finish its output after the job has ended
)

// Cmd says what to run. It can be used once.
type Cmd struct {
	Path string   // absolute
	Argv []string // with the program's name in front
	Dir  string   // absolute
	Env  []string // NAME=value, complete
	// Mark is one entry of Env that no other attempt has. Processes that carry it belong to this attempt.
	Mark string

	Stdin          []byte   // nil is /dev/null
	Stdout, Stderr *Capture // nil is /dev/null

	Level   Level        // "" is LevelNone
	Confine *Confinement // what the job may reach; needed above LevelNone
	Keepers *Keepers     // for starting it fast; nil starts a keeper for this one process

	Timeout      time.Duration // 0 is none
	Grace        time.Duration // 0 is DefaultGrace
	TimeoutGrace time.Duration // 0 is DefaultTimeoutGrace
	WaitDelay    time.Duration // 0 is DefaultWaitDelay
}

// Report is what became of a process.
type Report struct {
	ExitCode  int            // -1 where a signal ended it
	Signal    syscall.Signal // that ended it, or 0
	TimedOut  bool           // it was ended by Cmd.Timeout
	Cancelled bool           // it was ended by the context
	OverDisk  bool           // it was ended because it used more than Limits.Disk
	// OverMemory says that the kernel ended a process of it for want of memory within Limits.Memory.
	OverMemory bool
	// OverCPU says that it failed when it had had all of Limits.CPU: mostly it was ended for that.
	OverCPU  bool
	Stopped  []string // names of the first few processes that were there when it was ended for one of these
	Lost     bool     // its keeper was killed, and it with it; how it would have ended nobody knows
	Level    Level    // that it ran at
	Started  time.Time
	Duration time.Duration
	CPU      time.Duration // user and system, of the process and the children that it waited for, or with Limits.CPU of all together
	MaxRSS   int64         // bytes, of the largest of these, or with Limits.Memory of all together and the files that they used; 0 where it is not known
	// Survivors is how many processes were left when the first had ended, and were killed. At LevelNone only those are
	// found that left its group.
	Survivors int
	Killed    []string // names of the first few of them, above LevelNone
	Leaked    int      // how many would not die
}

// Ended is the cause of a context that says itself how long a process has from SIGTERM to SIGKILL.
type Ended struct {
	Err   error
	Grace time.Duration
}

func (e *Ended) Error() string { return e.Err.Error() }

// Unwrap returns why the process was ended.
func (e *Ended) Unwrap() error { return e.Err }

// grace is how long a process has from SIGTERM to SIGKILL when ctx ends.
func (c *Cmd) grace(ctx context.Context) time.Duration {
	if e, ok := errors.AsType[*Ended](context.Cause(ctx)); ok {
		return e.Grace
	}
	return orDefault(c.Grace, DefaultGrace)
}

func (c *Cmd) timeoutGrace() time.Duration { return orDefault(c.TimeoutGrace, DefaultTimeoutGrace) }
func (c *Cmd) waitDelay() time.Duration    { return orDefault(c.WaitDelay, DefaultWaitDelay) }

func (c *Cmd) level() Level {
	if c.Level == "" {
		return LevelNone
	}
	return c.Level
}

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}
