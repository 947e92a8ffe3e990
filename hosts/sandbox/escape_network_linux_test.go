//go:build amd64 || arm64

package sandbox

import (
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

func dial(network, address string) error {
	c, err := net.DialTimeout(network, address, 2*time.Second)
	if err == nil {
		c.Close()
	}
	return err
}

func socket(family, kind int) error {
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// connectTCP makes a socket of a protocol and connects it.
func connectTCP(v target, protocol int, connect func(fd int, to unix.Sockaddr) error) error {
	at, err := netip.ParseAddrPort(v.TCP)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return connect(fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()})
}

// exchange sends a byte to itself.
func exchange(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	defer l.Close()
	out, err := net.DialTimeout("tcp", l.Addr().String(), 2*time.Second)
	if err != nil {
		return err
	}
	defer out.Close()
	in, err := l.Accept()
	if err != nil {
		return err
	}
	defer in.Close()
	if _, err := out.Write([]byte("x")); err != nil {
		return err
	}
	_, err = in.Read(make([]byte, 1))
	return err
}

var networkEscapes = []escape{
	{name: "TCP connect", try: func(v target) error { return dial("tcp", v.TCP) }},
	// At LevelFull a job has a loopback of its own, on which nobody else is.
	{name: "TCP bind", inside: true, try: func(target) error { return exchange("127.0.0.1:0") }},
	{name: "UDP send", try: func(v target) error {
		c, err := net.Dial("udp", v.UDP)
		if err != nil {
			return err
		}
		defer c.Close()
		// That nobody is there to receive it, a sender learns when it sends again.
		for range 3 {
			if _, err := c.Write([]byte("x")); err != nil {
				return err
			}
			time.Sleep(20 * time.Millisecond)
		}
		return nil
	}},
	{name: "another network", without: "a machine may have none", try: func(target) error {
		// Of addresses that lead nowhere (RFC 5737); without a network there is not even a way there.
		if _, err := net.Dial("udp", "192.0.2.1:9"); err != nil {
			return err
		}
		return nil
	}},
	{name: "UDP bind", inside: true, try: func(target) error {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err == nil {
			c.Close()
		}
		return err
	}},
	// Landlock's rules for TCP know neither of these two.
	{name: "TCP connect with the first data", without: "the kernel may not allow it", try: func(v target) error {
		return connectTCP(v, 0, func(fd int, to unix.Sockaddr) error { return unix.Sendto(fd, []byte("x"), unix.MSG_FASTOPEN, to) })
	}},
	{name: "TCP connect by several ways", without: "a kernel may be built without it", try: func(v target) error {
		return connectTCP(v, unix.IPPROTO_MPTCP, unix.Connect)
	}},
	{name: "raw socket", root: true, try: func(target) error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}},
	{name: "packet socket", root: true, without: "a kernel may be built without it", try: func(target) error {
		return socket(unix.AF_PACKET, unix.SOCK_RAW)
	}},
	{name: "netlink", try: func(target) error { return socket(unix.AF_NETLINK, unix.SOCK_RAW) }},
	{name: "netlink with more bits", try: func(target) error {
		return call(unix.SYS_SOCKET, unix.AF_NETLINK|1<<32, unix.SOCK_RAW|unix.SOCK_CLOEXEC)
	}},
	{name: "any other family", try: func(target) error {
		// Whoever asks for one has the kernel load it.
		for family := range unix.AF_MAX {
			switch family {
			case unix.AF_UNIX, unix.AF_INET, unix.AF_INET6:
				continue
			}
			for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_RAW, unix.SOCK_SEQPACKET} {
				if asked(socket(family, kind)) == nil {
					return nil
				}
			}
		}
		return unix.EPERM
	}},
	{name: "vsock", without: "a kernel may be built without it", try: func(target) error {
		return socket(unix.AF_VSOCK, unix.SOCK_STREAM)
	}},
	{name: "crypto socket", without: "a kernel may be built without it", try: func(target) error {
		return socket(unix.AF_ALG, unix.SOCK_SEQPACKET)
	}},
	{name: "abstract socket", try: func(v target) error { return dial("unix", v.Abstract) }},
	{name: "socket with a path", try: func(v target) error { return dial("unix", v.Socket) }},
	{name: "datagram to a path", try: func(v target) error {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		// The socket there is of another kind, which is found out only after it was reached.
		if err := unix.Sendto(pair[0], []byte("x"), 0, &unix.SockaddrUnix{Name: v.Socket}); err != unix.EPROTOTYPE {
			return err
		}
		return nil
	}},
}
