package sandbox

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Sweep kills every process that carries mark, NAME=value, in the environment that it was started with, and waits until
// it is gone. It is for what got away from a process group, and for what a killed runner left behind. killed counts
// those that were found, left those of them that would not die.
func Sweep(mark string) (killed, left int) { return sweep(mark, 0) }

// sweep also takes the processes of a session, which may have left the process group but not that (job control of a
// shell), and have cleared their environment.
func sweep(mark string, session int) (killed, left int) {
	deadline := time.Now().Add(dying)
	for {
		left = 0
		for _, pid := range list(mark, session) {
			switch kill(pid, mark, session, deadline) {
			case gone:
				killed++
			case stuck:
				left++
			}
		}
		// Another look, for what they started before they died.
		if left == 0 && len(list(mark, session)) == 0 || time.Now().After(deadline) {
			return killed + left, left
		}
	}
}

// fate is what became of a process that was to be killed.
type fate int

const (
	other fate = iota // it was not the one any more
	gone
	stuck
)

// kill makes sure that pid still is the process that was found (between looking and killing, another one can have got its
// number), kills it, and waits until it has ended.
func kill(pid int, mark string, session int, deadline time.Time) fate {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return other
	}
	defer unix.Close(fd)
	if !belongs(strconv.Itoa(pid), mark, session) {
		return other
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil {
		if err == unix.ESRCH {
			return other
		}
		return stuck
	}
	for {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, max(int(time.Until(deadline).Milliseconds()), 1))
		switch {
		case n > 0:
			return gone
		case err != unix.EINTR:
			return stuck
		}
	}
}

// list returns the living processes that belong to an attempt.
func list(mark string, session int) []int {
	var pids []int
	eachOf(mark, session, func(pid int) bool {
		pids = append(pids, pid)
		return true
	})
	return pids
}

// eachOf calls each with the living processes that belong to an attempt, until it says no.
func eachOf(mark string, session int, each func(pid int) bool) {
	self := os.Getpid()
	for _, name := range processes() {
		if pid, err := strconv.Atoi(name); err == nil && pid != self && belongs(name, mark, session) && !each(pid) {
			return
		}
	}
}

func processes() []string {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	return names
}

func belongs(pid, mark string, session int) bool {
	if session != 0 {
		if st, ok := readStat(pid); ok && st.session == session && st.alive {
			return true
		}
	}
	return mark != "" && carries(pid, []byte(mark))
}

// carries reports whether the process's environment has the entry mark. A zombie has none any more.
func carries(pid string, mark []byte) bool {
	env, err := os.ReadFile("/proc/" + pid + "/environ")
	if err != nil {
		return false
	}
	for entry := range bytes.SplitSeq(env, []byte{0}) {
		if bytes.Equal(entry, mark) {
			return true
		}
	}
	return false
}

// stat is what interests us in /proc/PID/stat.
type stat struct {
	alive          bool // no zombie
	group, session int
}

func readStat(pid string) (stat, bool) {
	line, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return stat{}, false
	}
	// pid (name) state ppid pgrp session …, where the name may contain anything
	f := bytes.Fields(line[bytes.LastIndexByte(line, ')')+1:])
	if len(f) < 4 {
		return stat{}, false
	}
	s := stat{alive: f[0][0] != 'Z' && f[0][0] != 'X'}
	s.group, _ = strconv.Atoi(string(f[2]))
	s.session, _ = strconv.Atoi(string(f[3]))
	return s, true
}

// awaitGroup waits until the killed process group has no living member, and returns how many would not die.
func awaitGroup(group int) (left int) {
	deadline := time.Now().Add(dying)
	for wait := 100 * time.Microsecond; ; wait = min(2*wait, 20*time.Millisecond) {
		if unix.Kill(-group, 0) != nil {
			return 0
		}
		// Where nobody reaps orphans (a container without an init), the group stays for ever, but dead.
		if wait > time.Millisecond {
			if left = living(group); left == 0 {
				return 0
			}
		}
		if time.Now().After(deadline) {
			return left
		}
		time.Sleep(wait)
	}
}

// living counts the members of a process group that are no zombies.
func living(group int) (n int) {
	for _, name := range processes() {
		if name[0] < '0' || name[0] > '9' {
			continue
		}
		if st, ok := readStat(name); ok && st.alive && st.group == group {
			n++
		}
	}
	return n
}
