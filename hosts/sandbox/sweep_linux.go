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
	seen := map[int]bool{}
	deadline := time.Now().Add(dying)
	for {
		found := list(mark, session)
		if len(found) == 0 {
			return len(seen), 0
		}
		for _, pid := range found {
			seen[pid] = true
			kill(pid, mark, session)
		}
		if time.Now().After(deadline) {
			return len(seen), len(found)
		}
		time.Sleep(time.Millisecond)
	}
}

// kill makes sure that pid still is the process that was found: between looking and killing, another one can have got
// its number.
func kill(pid int, mark string, session int) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if belongs(strconv.Itoa(pid), mark, session) {
		unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}

// list returns the living processes that belong to an attempt.
func list(mark string, session int) []int {
	var pids []int
	self := os.Getpid()
	for _, name := range processes() {
		if pid, err := strconv.Atoi(name); err == nil && pid != self && belongs(name, mark, session) {
			pids = append(pids, pid)
		}
	}
	return pids
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
