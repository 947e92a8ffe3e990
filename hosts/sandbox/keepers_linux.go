package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Keepers holds the processes that confine jobs, for the next job with the same confinement: making namespaces and
// rules once costs some ten milliseconds, starting a job in them less than one. The zero value is ready; Close it.
//
// A keeper is this program, started again (see Main). It ends when we do, and with it its jobs.
type Keepers struct {
	mu     sync.Mutex
	idle   []*held // the longest unused first
	starts chan func()
}

// keeperAge is how long a keeper is used: it sees the system's files as they were when it was made.
const keeperAge = time.Minute

// idleKept is how many keepers wait for work.
const idleKept = 16

// handshake is how long a keeper may take to get ready.
const handshake = 20 * time.Second

// held is a keeper as its runner sees it.
type held struct {
	pid, ctl int
	key      string
	made     time.Time
	used     bool // it has started a job
	once     bool // it knows the entries of folders as they were when it was made
	broken   bool
	forget   func()
	group    *group // nil is none
}

// Close ends the keepers that wait. No job may be running.
func (k *Keepers) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, h := range k.idle {
		h.close()
	}
	k.idle = nil
	if k.starts != nil {
		close(k.starts)
		k.starts = nil
	}
	return nil
}

// take returns a keeper for the confinement, one that waits or a new one.
func (k *Keepers) take(level Level, c *Confinement) (*held, error) {
	key, err := identity(level, c)
	if err != nil {
		return nil, trouble("confinement", err)
	}
	k.mu.Lock()
	for i := len(k.idle) - 1; i >= 0; i-- {
		h := k.idle[i]
		if time.Since(h.made) > keeperAge {
			h.close()
			k.idle = append(k.idle[:i], k.idle[i+1:]...)
		} else if h.key == key {
			k.idle = append(k.idle[:i], k.idle[i+1:]...)
			k.mu.Unlock()
			return h, nil
		}
	}
	if k.starts == nil {
		// The kernel ends a keeper with the thread that started it, so that thread has to stay.
		starts := make(chan func())
		k.starts = starts
		go func() {
			runtime.LockOSThread()
			for f := range starts {
				f()
			}
		}()
	}
	starts := k.starts
	k.mu.Unlock()
	var h *held
	done := make(chan struct{})
	starts <- func() {
		h, err = fork(level, c)
		close(done)
	}
	<-done
	if err != nil {
		return nil, err
	}
	if err := h.intoGroup(level, c); err != nil {
		return nil, err
	}
	h.key, h.once = key, level == LevelRestricted && len(c.Keep)+len(c.Shut) > 0
	return h, h.setup(level, c)
}

func (k *Keepers) give(h *held) {
	if h.broken || h.once {
		h.close()
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.idle = append(k.idle, h)
	if len(k.idle) > idleKept {
		k.idle[0].close()
		k.idle = k.idle[1:]
	}
}

// identity tells confinements apart, by everything that a keeper promises: only the limit of the disk is the runner's. A
// folder that was made anew is another one, whatever its name; of the system's own this is not looked up each time, since a
// keeper is not used for long.
func identity(level Level, c *Confinement) (string, error) {
	if err := c.check(level); err != nil {
		return "", err
	}
	b := append(make([]byte, 0, 2048), level...)
	for _, list := range [][]string{c.Read, c.Write, {c.Work, c.Tmp}, c.devices()} {
		b = strconv.AppendInt(b, int64(len(list)), 10)
		for _, p := range list {
			b = append(append(b, 0), p...)
			if p == "" || slices.Contains(systemPaths, p) || slices.Contains(DefaultDevices, p) {
				continue
			}
			var st unix.Stat_t
			if err := unix.Lstat(p, &st); err != nil {
				return "", fmt.Errorf("%s: %w", p, err)
			}
			b = strconv.AppendUint(append(b, 0), uint64(st.Dev), 10)
			b = strconv.AppendUint(append(b, ' '), st.Ino, 10)
		}
	}
	for _, list := range [][]string{c.Keep, c.Shut, c.Hide} {
		b = strconv.AppendInt(append(b, 0), int64(len(list)), 10)
		for _, p := range list {
			var st unix.Stat_t // zero where there is nothing
			at, err := straight(unix.AT_FDCWD, p)
			if err == nil {
				err = unix.Fstat(at, &st)
				unix.Close(at)
			}
			if err != nil && !vanished(err) {
				return "", fmt.Errorf("%s: %w", shortened(p), err)
			}
			b = append(append(append(b, 0), p...), 0)
			b = strconv.AppendUint(append(strconv.AppendUint(b, uint64(st.Dev), 10), ' '), st.Ino, 10)
		}
	}
	for _, p := range slices.Sorted(maps.Keys(c.Objects)) {
		o := c.Objects[p]
		b = append(append(append(b, 0), p...), 0)
		b = strconv.AppendUint(append(strconv.AppendUint(b, o.Dev, 10), ' '), o.Ino, 10)
	}
	b = strconv.AppendBool(append(b, 0), c.Network)
	if u := c.User; u != nil {
		b = fmt.Appendf(b, " as %d %d %v", u.UID, u.GID, u.Groups)
	}
	l := &c.Limits
	for _, v := range []int64{l.Data, l.Memory, l.Files, l.FileSize, l.CPU, l.Processes} {
		b = strconv.AppendInt(append(b, ' '), v, 10)
	}
	return string(b), nil
}

// fork starts a keeper, for as long as the calling thread lives.
func fork(level Level, c *Confinement) (*held, error) {
	if !hooked.Load() {
		return nil, trouble("keeper", errors.New("the program does not call sandbox.Main"))
	}
	if !clonable {
		return nil, trouble("keeper", errors.New("not on "+runtime.GOARCH))
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(pair[1])
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		unix.Close(pair[0])
		return nil, err
	}
	defer unix.Close(null)
	if level != LevelFull {
		if err := adopt(); err != nil {
			unix.Close(pair[0])
			return nil, trouble("subreaper", err)
		}
	}
	Seal()
	pid, err := syscall.ForkExec("/proc/self/exe", []string{keeperName}, &syscall.ProcAttr{
		Dir: "/", Env: []string{"GOMAXPROCS=1", "GOTRACEBACK=none"},
		Files: []uintptr{uintptr(null), uintptr(null), uintptr(null), uintptr(pair[1])},
		Sys:   namespaces(level, c.Network),
	})
	if err != nil {
		unix.Close(pair[0])
		if errors.Is(err, unix.ENOSPC) && forbidden() {
			err = unix.EPERM
		}
		if level == LevelFull && (errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL)) {
			return nil, trouble(missingNamespace(), err)
		}
		return nil, err
	}
	return &held{pid: pid, ctl: pair[0], made: time.Now(), forget: Known(pid)}, nil
}

// namespaces says where a keeper starts. At LevelRestricted it must not be killed before it has killed its job, so that
// it only notices the end of its runner by the connection.
func namespaces(level Level, network bool) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if level != LevelFull {
		return attr
	}
	attr.Pdeathsig = syscall.SIGKILL
	attr.Cloneflags = unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
	if !network {
		attr.Cloneflags |= unix.CLONE_NEWNET
	}
	if !administers() {
		// In a user namespace of our own we may do all this; the job sees the ids that it has outside.
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
		attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETPCAP, unix.CAP_NET_ADMIN}
	}
	return attr
}

// forbidden reports whether the machine allows no namespaces of some kind at all. The kernel says the same where they are
// only all in use.
func forbidden() bool {
	for _, kind := range []string{"user", "pid", "mnt", "ipc", "uts", "net"} {
		b, err := os.ReadFile("/proc/sys/user/max_" + kind + "_namespaces")
		if err == nil && strings.TrimSpace(string(b)) == "0" {
			return true
		}
	}
	return false
}

// administers reports whether namespaces can be made without a user namespace.
func administers() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&header, &data[0]) == nil && data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0 &&
		data[0].Effective&(1<<unix.CAP_SETPCAP) != 0
}

func missingNamespace() string {
	if administers() {
		return "namespaces"
	}
	return "user namespace"
}

// setup tells a new keeper its confinement and waits until it is ready.
func (h *held) setup(level Level, c *Confinement) error {
	quoted, err := c.withPaths(func(path string) (string, error) { return strconv.Quote(path), nil })
	if err != nil {
		return err
	}
	if h.group.counts() {
		quoted.Limits.CPU++ // so that whoever looks at the group ends the job, and knows what for
	}
	s := setup{Level: level, Confine: quoted}
	if uid := os.Geteuid(); c.Limits.Processes > 0 && (level != LevelFull || c.User != nil) {
		if c.User != nil {
			uid = c.User.UID
		}
		s.Tasks = tasks(uid)
	}
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	wait := unix.NsecToTimeval(handshake.Nanoseconds())
	unix.SetsockoptTimeval(h.ctl, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait)
	err = send(h.ctl, msgSetup, b)
	var answer []byte
	if err == nil {
		_, answer, _, err = receive(h.ctl)
	}
	if err == nil && len(answer) > 0 {
		p := new(problem)
		if err = json.Unmarshal(answer, p); err == nil {
			err = p
		}
	} else if err != nil {
		err = h.stillborn(err)
	}
	if err != nil {
		h.close()
		return err
	}
	unix.SetsockoptTimeval(h.ctl, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{})
	return nil
}

// stillborn says what it means that a keeper did not get ready, of which err is all that its connection told. One that was
// killed, or that the Go runtime ended with its status 2, did not get the memory or the threads that it needed.
func (h *held) stillborn(err error) error {
	if errors.Is(err, unix.EAGAIN) {
		return &problem{Primitive: "keeper", Text: fmt.Sprintf("not ready within %v", handshake), Errno: unix.ETIMEDOUT}
	}
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		// It is not reaped yet: close does that, and its number must not become somebody else's before.
		var info struct {
			signo, errno, code, _ int32
			pid, uid, status      int32
			_                     [100]byte
		}
		got := unix.Waitid(unix.P_PID, h.pid, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if got != nil || info.pid == 0 {
			continue
		}
		const exited, killed = 1, 2 // CLD_EXITED, CLD_KILLED
		if info.code == killed && info.status == int32(unix.SIGKILL) || info.code == exited && info.status == 2 {
			return &problem{Primitive: "keeper", Text: "it was ended before it was ready", Errno: unix.ENOMEM}
		}
		break
	}
	return trouble("keeper", err)
}

// close ends the keeper. One that is broken gets the time to end its job.
func (h *held) close() {
	unix.Close(h.ctl)
	defer h.forget()
	defer func() {
		if h.group != nil {
			h.group.remove()
		}
	}()
	if h.broken || h.once {
		for deadline := time.Now().Add(dying + time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			if pid, err := unix.Wait4(h.pid, nil, unix.WNOHANG, nil); pid == h.pid || err == unix.ECHILD {
				return
			}
		}
	}
	unix.Kill(h.pid, unix.SIGKILL)
	for {
		if _, err := unix.Wait4(h.pid, nil, 0, nil); err != unix.EINTR {
			return
		}
	}
}

func (p *problem) Error() string { return p.Primitive + ": " + p.Text }
func (p *problem) Unwrap() error { return p.Errno }

// tasks counts the threads of a user.
func tasks(uid int) (n int64) {
	for _, name := range processes() {
		if name[0] < '0' || name[0] > '9' {
			continue
		}
		var st unix.Stat_t
		if unix.Stat("/proc/"+name, &st) != nil || int(st.Uid) != uid {
			continue
		}
		if t, err := os.ReadDir("/proc/" + name + "/task"); err == nil {
			n += int64(len(t))
		}
	}
	return n
}
