package sandbox

import (
	"bytes"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Where a keeper dies at LevelRestricted, what it kept lives on: nothing bounds it as a pid namespace does, and it may have
// left every session and cleared its environment. So this process is a subreaper, the next one above its keepers, and
// becomes the parent of all that a dead one leaves. Of its other children these are told by the filter of system calls,
// which no job can take off and nothing else that we start has but those that are known.
var offspring struct {
	sync.Mutex
	reaper bool
	own    map[int]bool // keepers, and others that we started and that restrict themselves
}

// Known keeps a child of this process from being taken for what a job left, for one that restricts itself by RestrictSelf.
// Call the function that it returns before the process is waited for.
func Known(pid int) (forget func()) {
	offspring.Lock()
	defer offspring.Unlock()
	if offspring.own == nil {
		offspring.own = map[int]bool{}
	}
	offspring.own[pid] = true
	return func() {
		offspring.Lock()
		defer offspring.Unlock()
		delete(offspring.own, pid)
	}
}

// adopt makes this process the parent of what its children leave.
func adopt() error {
	offspring.Lock()
	defer offspring.Unlock()
	if offspring.reaper {
		return nil
	}
	err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	offspring.reaper = err == nil
	return err
}

// endAdopted kills all that dead keepers left, and waits until it is gone.
func endAdopted() (s swept) {
	deadline := time.Now().Add(dying)
	for wait := 50 * time.Microsecond; ; wait = min(2*wait, 10*time.Millisecond) {
		list := adopted()
		if len(list) == 0 {
			return s
		}
		for _, pid := range list {
			unix.Kill(pid, unix.SIGKILL)
			if len(s.names) < namesKept {
				s.names = append(s.names, comm(pid))
			}
		}
		time.Sleep(wait)
		for _, pid := range list {
			if got, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); got == pid && err == nil {
				s.killed++
			}
		}
		if time.Now().After(deadline) {
			s.left = len(adopted())
			s.killed += s.left
			return s
		}
	}
}

// adopted lists the children of this process that a keeper has left. What those have started in turn comes to us when
// they die.
func adopted() (list []int) {
	offspring.Lock()
	defer offspring.Unlock()
	for _, pid := range children() {
		if !offspring.own[pid] && confinedProcess(pid) {
			list = append(list, pid)
		}
	}
	return list
}

// confinedProcess reports whether a process has the filter that jobs have. One that has ended still says so. Where this process
// has filters itself, as a service of systemd or in a container, all that it starts has those, and a job more of them.
func confinedProcess(pid int) bool {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil || !bytes.Contains(status, []byte("\nNoNewPrivs:\t1\n")) || !bytes.Contains(status, []byte("\nSeccomp:\t2\n")) {
		return false
	}
	count, ok := filters(status)
	own, err := os.ReadFile("/proc/self/status")
	ours, known := filters(own)
	return !ok || err != nil || !known || count > ours
}

// filters is how many filters of system calls a process has, by its status.
func filters(status []byte) (n int, ok bool) {
	_, rest, _ := bytes.Cut(status, []byte("\nSeccomp_filters:\t"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	n, err := strconv.Atoi(string(line))
	return n, err == nil
}
