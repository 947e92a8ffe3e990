//go:build amd64 || arm64

package sandbox

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socketEscapes reach a socket of somebody else that lies where the job sees it.
var socketEscapes = []escape{
	{name: "socket in a folder to read", try: func(v target) error { return dial("unix", v.Read+"/s") }},
	{name: "socket in a folder to write", try: func(v target) error { return dial("unix", v.Write+"/s") }},
	{name: "socket by a relative path", try: func(v target) error {
		if err := os.Chdir(v.Read); err != nil {
			return err
		}
		return dial("unix", "s")
	}},
	{name: "socket by dots", try: func(v target) error {
		wd, err := os.Getwd()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(wd, v.Write+"/s")
		if err != nil {
			return err
		}
		return dial("unix", rel)
	}},
	{name: "socket by a link", try: func(v target) error {
		if err := os.Symlink(v.Read+"/s", "link"); err != nil {
			return err
		}
		return dial("unix", "link")
	}},
	{name: "socket by a linked folder", try: func(v target) error {
		if err := os.Symlink(v.Write, "link"); err != nil {
			return err
		}
		return dial("unix", "link/s")
	}},
	{name: "socket by a hard link", try: func(v target) error {
		if err := os.Link(v.Write+"/s", "mine"); err != nil {
			return err
		}
		return dial("unix", "mine")
	}},
	{name: "socket that was moved", try: func(v target) error {
		if err := os.Rename(v.Write+"/s", "mine"); err != nil {
			return err
		}
		return dial("unix", "mine")
	}},
	{name: "socket by proc", try: func(v target) error {
		if err := os.Chdir(v.Read); err != nil {
			return err
		}
		return dial("unix", "/proc/self/cwd/s")
	}},
	{name: "socket by an open file", try: func(v target) error {
		fd, err := unix.Open(v.Read+"/s", unix.O_PATH, 0)
		if err != nil {
			return err
		}
		return dial("unix", "/proc/self/fd/"+strconv.Itoa(fd))
	}},
	{name: "socket by the root of a process", try: func(v target) error {
		if err := os.Symlink("/proc/self/root"+v.Write+"/s", "link"); err != nil {
			return err
		}
		return dial("unix", "link")
	}},
	{name: "socket, with the mark of the keeper", try: func(v target) error {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		return rawConnect(marked(fd), v.Read+"/s")
	}},
	{name: "socket of packets", try: func(v target) error {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
		if err == nil {
			err = unix.Connect(fd, &unix.SockaddrUnix{Name: v.Read + "/s"})
		}
		if err == unix.EPROTOTYPE { // it was reached, and is of another kind
			err = nil
		}
		return err
	}},
	{name: "address that changes", try: func(v target) error { return raceAddresses(v, v.Write+"/s") }},
	{name: "descriptor that changes", try: func(v target) error { return raceDescriptors(v, v.Write+"/s") }},
	{name: "datagram to a folder to read", try: func(v target) error { return datagram(unix.SOCK_DGRAM, v.Read+"/d") }},
	{name: "datagram to a folder to write", try: func(v target) error { return datagram(unix.SOCK_DGRAM, v.Write+"/d") }},
	{name: "datagram of a raw socket", try: func(v target) error { return datagram(unix.SOCK_RAW, v.Read+"/d") }},
	{name: "datagram of a pair", try: func(v target) error {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		return unix.Sendto(pair[0], []byte("x"), 0, &unix.SockaddrUnix{Name: v.Read + "/d"})
	}},
	{name: "datagram of a pair, connected again", try: func(v target) error {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		return unix.Connect(pair[0], &unix.SockaddrUnix{Name: v.Read + "/d"})
	}},
	{name: "message to a name", try: func(v target) error {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		return unix.Sendmsg(fd, []byte("x"), nil, &unix.SockaddrUnix{Name: v.Write + "/d"}, 0)
	}},
	{name: "descriptor sent away", try: func(v target) error {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		return unix.Sendmsg(fd, []byte("x"), unix.UnixRights(0), &unix.SockaddrUnix{Name: v.Write + "/d"}, 0)
	}},
	{name: "pair of another family", without: "a kernel may be built without it", try: func(target) error {
		_, err := unix.Socketpair(unix.AF_TIPC, unix.SOCK_STREAM, 0)
		return err
	}},
	{name: "socket left behind", try: func(v target) error {
		l, err := net.Listen("unix", v.Write+"/mine")
		if err == nil {
			l.Close()
		}
		return err
	}},
	{name: "socket moved to where others look", try: func(v target) error {
		if err := unix.Mknod("mine", unix.S_IFSOCK|0o600, 0); err != nil {
			return err
		}
		return os.Rename("mine", v.Write+"/mine")
	}},
	{name: "FIFO left behind", try: func(v target) error { return unix.Mkfifo(v.Write+"/mine", 0o600) }},
	{name: "FIFO moved to where others look", try: func(v target) error {
		if err := unix.Mkfifo("mine", 0o600); err != nil {
			return err
		}
		return os.Rename("mine", v.Write+"/mine")
	}},
	{name: "FIFO linked to where others look", try: func(v target) error {
		if err := unix.Mkfifo("mine", 0o600); err != nil {
			return err
		}
		return os.Link("mine", v.Write+"/mine")
	}},
}

// sharedEscapes hold up, or use up, what others share with the job.
var sharedEscapes = []escape{
	{name: "lease on a file to read", try: func(v target) error {
		return hold(v.Read+"/file", unix.O_RDONLY, func(fd int) error {
			_, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_RDLCK)
			return err
		})
	}},
	{name: "lock on a file to read", try: func(v target) error {
		return hold(v.Read+"/file", unix.O_RDONLY, func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	}},
	{name: "lock on a folder to read", try: func(v target) error {
		return hold(v.Read, unix.O_RDONLY, func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	}},
	{name: "lock, with the mark of the keeper", try: func(v target) error {
		return hold(v.Read+"/file", unix.O_RDONLY, func(fd int) error {
			if _, _, errno := unix.RawSyscall(unix.SYS_FLOCK, marked(fd), unix.LOCK_EX|unix.LOCK_NB, 0); errno != 0 {
				return errno
			}
			return nil
		})
	}},
	{name: "notices by signal", try: func(v target) error {
		return hold(v.Read, unix.O_RDONLY, func(fd int) error {
			_, err := unix.FcntlInt(uintptr(fd), unix.F_NOTIFY, 4 /* DN_CREATE */)
			return err
		})
	}},
	{name: "many watchers", without: "the limit of the user may be lower", try: func(target) error {
		for range maxInstances + 1 {
			if _, err := unix.InotifyInit1(unix.IN_CLOEXEC); err != nil {
				return err
			}
		}
		return nil
	}},
	{name: "many watches", without: "the limit of the user may be lower", try: func(target) error {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
		if err != nil {
			return err
		}
		for i := range maxWatches + 1 {
			name := fmt.Sprint("d", i)
			if err := os.Mkdir(name, 0o700); err != nil {
				return err
			}
			if _, err := unix.InotifyAddWatch(fd, name, unix.IN_CREATE); err != nil {
				return err
			}
		}
		return nil
	}},
	{name: "asynchronous events", without: "others may have used them up", try: func(target) error {
		for range 3 {
			var context uintptr
			if _, _, errno := unix.RawSyscall(unix.SYS_IO_SETUP, maxEvents/2, uintptr(unsafe.Pointer(&context)), 0); errno != 0 {
				return errno
			}
		}
		return nil
	}},
	{name: "signals of the user", try: func(target) error {
		var r unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_SIGPENDING, &r); err != nil {
			return err
		}
		if r.Max <= maxPending {
			return errors.New("limited")
		}
		return nil
	}, without: "the limit of the user may be lower"},
}

func hold(path string, flags int, f func(fd int) error) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return f(fd)
}

func datagram(kind int, path string) error {
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrUnix{Name: path})
}

// rawConnect calls connect as it stands.
func rawConnect(fd uintptr, path string) error {
	a := unix.RawSockaddrUnix{Family: unix.AF_UNIX}
	for i := range path {
		a.Path[i] = int8(path[i])
	}
	if _, _, errno := unix.Syscall(unix.SYS_CONNECT, fd, uintptr(unsafe.Pointer(&a)), unsafe.Sizeof(a)); errno != 0 {
		return errno
	}
	return nil
}

// raceAddresses connects again and again while another thread changes the name of a socket of the job to one of somebody
// else. It was reached where the other end has that name.
func raceAddresses(v target, path string) error {
	l, err := net.Listen("unix", "o")
	if err != nil {
		return err
	}
	go serve(l)
	var a, foreign, mine unix.RawSockaddrUnix
	foreign.Family, mine.Family = unix.AF_UNIX, unix.AF_UNIX
	for i := range path {
		foreign.Path[i] = int8(path[i])
	}
	mine.Path[0] = 'o'
	var stop atomic.Bool
	defer stop.Store(true)
	go func() {
		runtime.LockOSThread()
		for !stop.Load() {
			a = foreign
			a = mine
		}
	}()
	for end := v.deadline(); time.Now().Before(end); {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&a)), unsafe.Sizeof(a))
		reached := peer(fd) == path
		unix.Close(fd)
		if reached {
			return nil
		}
	}
	return errors.New("never reached")
}

// raceDescriptors has another thread put an Internet socket and a Unix socket in one place.
func raceDescriptors(v target, path string) error {
	internet, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	local, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	const place = 500
	if err := unix.Dup3(internet, place, unix.O_CLOEXEC); err != nil {
		return err
	}
	var stop atomic.Bool
	defer stop.Store(true)
	go func() {
		runtime.LockOSThread()
		for !stop.Load() {
			unix.Dup3(local, place, unix.O_CLOEXEC)
			unix.Dup3(internet, place, unix.O_CLOEXEC)
		}
	}()
	for end := v.deadline(); time.Now().Before(end); {
		if rawConnect(place, path); peer(local) == path {
			return nil
		}
	}
	return errors.New("never reached")
}

// peer is the name of the other end.
func peer(fd int) string {
	if a, err := unix.Getpeername(fd); err == nil {
		if u, ok := a.(*unix.SockaddrUnix); ok {
			return u.Name
		}
	}
	return ""
}

func serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		c.Write([]byte("mine"))
		c.Close()
	}
}

// TestConfinedOwnSockets: what a job made itself it reaches, by each way of waiting.
func TestConfinedOwnSockets(t *testing.T) {
	need(t, LevelFull)
	c, _ := attemptCommand(t, LevelFull, escape{name: "own sockets"})
	if r := run(t, c); r.ExitCode != 0 {
		t.Errorf("%+v %s%s", r, c.Stdout.Head, c.Stderr.Head)
	}
}

func ownSockets() int {
	code := 0
	check := func(what string, err error) {
		if err != nil {
			fmt.Println(what+":", err)
			code = 1
		}
	}
	talk := func(network, address string) error {
		l, err := net.Listen(network, address)
		if err != nil {
			return err
		}
		defer l.Close()
		go serve(l)
		c, err := net.Dial(network, l.Addr().String())
		if err != nil {
			return err
		}
		defer c.Close()
		b := make([]byte, 4)
		if n, err := c.Read(b); err != nil || string(b[:n]) != "mine" {
			return fmt.Errorf("%q %v", b, err)
		}
		return nil
	}
	wd, _ := os.Getwd()
	check("path", talk("unix", filepath.Join(wd, "s")))
	check("relative path", talk("unix", "s"))
	check("packets", talk("unixpacket", "s"))
	check("abstract", talk("unix", "@own"))
	check("TCP", talk("tcp", "127.0.0.1:0"))
	check("TCP over IPv6 or 4", talk("tcp", "localhost:0"))
	check("nobody there", expect(unix.ENOENT, blocking("none")))
	if err := unix.Mknod("dead", unix.S_IFSOCK|0o600, 0); err != nil {
		check("mknod", err)
	}
	check("nobody listens", expect(unix.ECONNREFUSED, blocking("dead")))
	check("full backlog", backlog())
	check("locks", locks())
	return code
}

func expect(want, err error) error {
	if !errors.Is(err, want) {
		return fmt.Errorf("%v instead of %v", err, want)
	}
	return nil
}

func blocking(path string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return err
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
		return fmt.Errorf("the socket does not block any more: %v", err)
	}
	return nil
}

// backlog connects more often than the listener has room for, and accepts only later.
func backlog() error {
	l, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Bind(l, &unix.SockaddrUnix{Name: "slow"}); err != nil {
		return err
	}
	if err := unix.Listen(l, 1); err != nil {
		return err
	}
	const n = 8
	done := make(chan error, n)
	for range n {
		go func() { done <- blocking("slow") }()
	}
	time.Sleep(50 * time.Millisecond)
	if len(done) == n {
		return errors.New("nobody had to wait")
	}
	for range n {
		fd, _, err := unix.Accept(l)
		if err != nil {
			return err
		}
		unix.Close(fd)
	}
	for range n {
		if err := <-done; err != nil {
			return err
		}
	}
	return nil
}

// locks takes one on a file that is open twice, and has the second wait for the first.
func locks() error {
	open := func() int {
		fd, _ := unix.Open("lock", unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
		return fd
	}
	first, second := open(), open()
	if err := unix.Flock(first, unix.LOCK_EX); err != nil {
		return err
	}
	if err := expect(unix.EWOULDBLOCK, unix.Flock(second, unix.LOCK_EX|unix.LOCK_NB)); err != nil {
		return err
	}
	done := make(chan error)
	go func() { done <- unix.Flock(second, unix.LOCK_EX) }()
	select {
	case err := <-done:
		return fmt.Errorf("locked twice: %v", err)
	case <-time.After(30 * time.Millisecond):
	}
	if err := unix.Flock(first, unix.LOCK_UN); err != nil {
		return err
	}
	return <-done
}
