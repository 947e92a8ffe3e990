package sandbox

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// keeperName is what a keeper is called: its only argument.
const keeperName = "sandbox-keeper"

// keeperControl is the keeper's end of the connection to its runner.
const keeperControl = 3

// hooked is set once Main was called, so that starting ourselves again is known to give a keeper.
var hooked atomic.Bool

// Main makes this program able to confine jobs: it must be called first in main, and returns unless this process was
// started to be a keeper.
func Main() {
	if len(os.Args) != 1 || os.Args[0] != keeperName {
		hooked.Store(true)
		return
	}
	runtime.LockOSThread()
	var k keeper
	os.Exit(k.run())
}

// keeper starts the jobs of one confinement, one at a time, and ends what they leave. At LevelFull it is process 1 of
// the namespaces that it stays in; the kernel ends with it all that is in there.
type keeper struct {
	setup
	abi        int
	loopback   bool // there is one, of the job's own
	birth      birth
	flags      uint64 // of the job's clone
	scoped     bool   // kill(-1) reaches nobody but the job
	program    []unix.SockFilter
	supervisor supervisor

	score              int // where the OOM killer is told of us, -1 is not
	ownScore, jobScore []byte

	pid     int // of the job, 0 is none
	pidfd   int
	over    bool // it has ended
	outcome ended
}

// reach is what the job may connect to.
func (k *keeper) reach() reach {
	switch {
	case k.Confine.Network:
		return reachAll
	case k.loopback:
		return reachItself
	}
	return reachNothing
}

// names is which Unix sockets the job may name. At LevelFull its own folders are mounts, by which the keeper knows them.
func (k *keeper) names(supervised bool) names {
	switch {
	case k.Level == LevelFull && k.Confine.Network, k.Level != LevelFull && k.abi >= abiUnix:
		return namesAny
	case k.Level == LevelFull && supervised:
		return namesOwn
	}
	return namesNone
}

// setup is what a runner says first. Its paths are quoted: a name may have any bytes, and JSON has no place for those that are not
// UTF-8. Another name in their place would be one that is not there, and what is to be closed would be open.
type setup struct {
	Level   Level
	Confine Confinement
	Tasks   int64 // of the job's user on the machine, where the limit of processes counts all of them
}

// problem is why a keeper cannot confine.
type problem struct {
	Primitive string
	Text      string
	Errno     syscall.Errno
}

func (k *keeper) run() int {
	kind, payload, _, err := receive(keeperControl)
	if err != nil || kind != msgSetup || json.Unmarshal(payload, &k.setup) != nil {
		return 3 // 2 is the Go runtime's own
	}
	if k.Confine, err = k.Confine.withPaths(strconv.Unquote); err != nil {
		return 3
	}
	if p := k.prepare(); p != nil {
		text, _ := json.Marshal(p)
		send(keeperControl, msgReady, text)
		return 1
	}
	if send(keeperControl, msgReady, nil) != nil {
		return 0
	}
	for k.serve() {
	}
	// The runner is gone, or has no more use for this confinement.
	k.sweep()
	return 0
}

// serve waits for a message or the end of the job, and answers. It returns false at the end of the connection.
func (k *keeper) serve() bool {
	fds := []unix.PollFd{{Fd: keeperControl, Events: unix.POLLIN}, {Fd: -1, Events: unix.POLLIN},
		{Fd: int32(k.supervisor.listener), Events: unix.POLLIN}}
	if k.pid != 0 && !k.over {
		fds[1].Fd = int32(k.pidfd)
	}
	patience := soon
	if len(k.supervisor.waiting) > 0 {
		patience = tryAgain
	}
	if !waitSoon(fds, patience) && fds[1].Fd < 0 && patience == soon {
		if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR {
			return false
		}
	}
	if k.pid != 0 && !k.over {
		others := k.reap(nil)
		if k.over && !k.sayEnded(others) {
			return false
		}
	}
	k.supervisor.retry()
	if fds[2].Revents != 0 {
		k.supervisor.hear()
	}
	if fds[0].Revents == 0 {
		return true
	}
	kind, payload, received, err := receive(keeperControl)
	if err != nil {
		return false
	}
	switch kind {
	case msgStart:
		err = k.start(payload, received)
	case msgTerm:
		if k.pid != 0 && !k.over {
			unix.Kill(-k.pid, unix.SIGTERM)
			unix.Kill(-k.pid, unix.SIGCONT)
		}
	case msgSweep:
		err = k.end()
	default:
		err = errMessage
	}
	return err == nil
}

// start executes a program, and says so if that did not work.
func (k *keeper) start(payload []byte, fds []int) error {
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	s, err := decodeStart(payload)
	if err != nil || len(fds) != len(k.birth.streams) {
		return errMessage
	}
	if err := k.ownDevices(fds); err != nil {
		return err
	}
	copy(k.birth.streams[:], fds)
	at, errno := k.launch(&s)
	if errno == 0 {
		return nil
	}
	b := binary.LittleEndian.AppendUint32(nil, uint32(at))
	return send(keeperControl, msgFailed, binary.LittleEndian.AppendUint32(b, uint32(errno)))
}

// ownDevices has the job use the devices of its own root. One that the runner opened is reached through the machine's mounts:
// a job of root could change its mode by the descriptor.
func (k *keeper) ownDevices(fds []int) error {
	if k.Level != LevelFull {
		return nil
	}
	for i, fd := range fds {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFCHR {
			continue
		}
		own, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		unix.Close(fd)
		fds[i] = own
	}
	return nil
}

func (k *keeper) launch(s *start) (at step, errno syscall.Errno) {
	dir, err := unix.Open(s.dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return stepDir, errnoOf(err)
	}
	defer unix.Close(dir)
	// The path was looked up in another place and at another time than the folder was chosen.
	var st unix.Stat_t
	if err := unix.Fstat(dir, &st); err != nil || uint64(st.Dev) != s.dev || st.Ino != s.ino {
		return stepDir, unix.ESTALE
	}
	j := &k.birth
	j.dir = dir
	path, err := syscall.BytePtrFromString(s.path)
	if err != nil {
		return stepExec, errnoOf(err)
	}
	argv, _ := syscall.SlicePtrFromStrings(s.argv)
	env, _ := syscall.SlicePtrFromStrings(s.env)
	j.path, j.argv, j.env = path, &argv[0], &env[0]
	k.over, k.outcome = false, ended{}
	k.supervisor.begin()
	// The job inherits its score. Without capabilities, as we are by now, we get our own back.
	if k.score >= 0 {
		unix.Pwrite(k.score, k.jobScore, 0)
	}
	k.pid, err = j.start(k.flags)
	if k.score >= 0 {
		unix.Pwrite(k.score, k.ownScore, 0)
	}
	if err != nil {
		k.pid = 0
		b := err.(*birthError)
		return b.step, b.errno
	}
	k.pidfd = int(j.pidfd)
	return stepExec, 0
}

func errnoOf(err error) syscall.Errno {
	if e, ok := err.(syscall.Errno); ok {
		return e
	}
	return unix.EINVAL
}

func (k *keeper) sayEnded(others bool) bool {
	k.outcome.others = others
	return send(keeperControl, msgEnded, k.outcome.encode()) == nil
}

// end kills what there is, and says so. If the process itself was still there, its end is said first.
func (k *keeper) end() error {
	running := k.pid != 0 && !k.over
	s := k.sweep()
	if running && !k.sayEnded(false) {
		return errMessage
	}
	k.pid = 0
	return send(keeperControl, msgSwept, s.encode())
}

// reap takes all that has ended, and reports whether others than that are left. each gets those that are not the job's
// first process, before they are gone.
func (k *keeper) reap(each func(pid int)) (left bool) {
	for {
		pid, err := waiting()
		if err != nil || pid == 0 {
			return err == nil // ECHILD: nobody is left, neither child nor orphan
		}
		if pid != k.pid && each != nil {
			each(pid)
		}
		var status unix.WaitStatus
		var usage unix.Rusage
		if _, err := unix.Wait4(pid, &status, unix.WNOHANG, &usage); err != nil {
			continue
		}
		if pid == k.pid && !k.over {
			k.over = true
			unix.Close(k.pidfd)
			k.outcome.status = status
			k.outcome.cpu = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
			k.outcome.rss = peak(int64(usage.Maxrss) << 10)
		}
	}
}

// soon is for how long waitSoon does.
const soon = 50 * time.Millisecond

// waitSoon waits for what mostly comes within a moment: the end of the job, or the next one. The Go runtime is not told
// that this thread waits: it would give other threads something to do each time, for a sixth of what a job costs. It
// returns false after a while, when orphans of the job are to be reaped, which count as processes of it until then.
func waitSoon(fds []unix.PollFd, patience time.Duration) bool {
	timeout := unix.NsecToTimespec(patience.Nanoseconds())
	n, _, errno := syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&fds[0])), uintptr(len(fds)),
		uintptr(unsafe.Pointer(&timeout)), 0, 0, 0)
	return n > 0 && errno == 0
}

// swallow catches the signals that would end the keeper. What is caught is not passed on to jobs, as an ignored signal
// would be. Those that do nothing anyway, as that of a child's end, are not worth waking anybody for.
func swallow() {
	all := make(chan os.Signal, 1)
	for s := syscall.Signal(1); s <= 64; s++ {
		switch s {
		case unix.SIGCHLD, unix.SIGURG, unix.SIGWINCH, unix.SIGCONT:
		default:
			signal.Notify(all, s)
		}
	}
	// Signal 32 is glibc's, and Go leaves it alone. What GNU make starts ignores it.
	var byDefault [4]uintptr // struct sigaction
	syscall.RawSyscall6(unix.SYS_RT_SIGACTION, 32, uintptr(unsafe.Pointer(&byDefault)), 0, 8, 0, 0)
}
