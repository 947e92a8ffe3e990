package sandbox

import (
	"bytes"
	"os"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// namesKept is how many of the killed processes are named.
const namesKept = 10

// sweep kills every process of the job and waits until all are gone.
func (k *keeper) sweep() (s swept) {
	// What has ended by itself was not killed.
	if !k.reap(nil) {
		return s
	}
	deadline := time.Now().Add(dying)
	for wait := 50 * time.Microsecond; ; wait = min(2*wait, 10*time.Millisecond) {
		k.killAll()
		left := k.reap(func(pid int) {
			s.killed++
			if len(s.names) < namesKept {
				s.names = append(s.names, comm(pid))
			}
		})
		if !left {
			return s
		}
		if time.Now().After(deadline) {
			s.left = max(len(children()), 1)
			s.killed += s.left
			return s
		}
		time.Sleep(wait)
	}
}

// killAll sends SIGKILL to all processes of the job. In a pid namespace or a Landlock scope that is one call, which
// the kernel carries out with no process being made meanwhile. Without either (Landlock before ABI 6), children are
// killed generation by generation: orphans become children of the keeper.
func (k *keeper) killAll() {
	if k.scoped {
		unix.Kill(-1, unix.SIGKILL)
		return
	}
	if k.pid != 0 && !k.over {
		unix.Kill(-k.pid, unix.SIGKILL)
	}
	for _, pid := range children() {
		unix.Kill(pid, unix.SIGKILL)
	}
}

// children returns those of all threads of this process.
func children() []int {
	_, pids := family("self")
	return pids
}

// comm is the name of a process that may have ended, but was not reaped.
func comm(pid int) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	if err != nil {
		return "?"
	}
	return string(bytes.TrimSpace(b))
}

// waiting returns a child that has ended, without reaping it; 0 where none has. The error is ECHILD where there is none
// at all.
func waiting() (pid int, err error) {
	// struct siginfo: three ints, padding, then the process.
	var info struct {
		signo, errno, code, _ int32
		pid                   int32
		_                     [108]byte
	}
	for {
		err = unix.Waitid(unix.P_ALL, 0, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return int(info.pid), err
		}
	}
}
