//go:build amd64 || arm64

package sandbox

import (
	"net"
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

var networkEscapes = []escape{
	{name: "TCP connect", try: func(v target) error { return dial("tcp", v.TCP) }},
	{name: "TCP bind", try: func(target) error {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err == nil {
			l.Close()
		}
		return err
	}},
	{name: "UDP send", try: func(v target) error {
		c, err := net.Dial("udp", v.UDP)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write([]byte("x"))
		return err
	}},
	{name: "UDP bind", try: func(target) error {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err == nil {
			c.Close()
		}
		return err
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
