package sandbox

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Messages between a runner and its keepers: a byte of kind, four of length, the rest. Numbers are little-endian.
const (
	// To the keeper.
	msgSetup byte = 'c' // setup as JSON, once
	msgStart byte = 's' // start, with three descriptors
	msgTerm  byte = 't' // SIGTERM to the group of the process
	msgSweep byte = 'x' // kill everything
	// From the keeper.
	msgReady  byte = 'r' // "", or problem as JSON
	msgFailed byte = 'F' // step, errno: nothing was started
	msgEnded  byte = 'e' // ended
	msgSwept  byte = 'X' // swept
)

// start says what a keeper is to execute.
type start struct {
	dev, ino  uint64 // of dir, as the runner sees it
	path, dir string
	argv, env []string
}

func (s *start) encode() []byte {
	b := binary.LittleEndian.AppendUint64(nil, s.dev)
	b = binary.LittleEndian.AppendUint64(b, s.ino)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s.argv)))
	for _, list := range [][]string{{s.path, s.dir}, s.argv, s.env} {
		for _, v := range list {
			b = append(append(b, v...), 0)
		}
	}
	return b
}

var errMessage = errors.New("not a message of a runner")

func decodeStart(b []byte) (s start, err error) {
	if len(b) < 20 {
		return s, errMessage
	}
	s.dev, s.ino = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	n := int(binary.LittleEndian.Uint32(b[16:]))
	list := strings.Split(string(b[20:]), "\x00")
	if len(list) < 3+n || list[len(list)-1] != "" {
		return s, errMessage
	}
	list = list[:len(list)-1]
	s.path, s.dir, s.argv, s.env = list[0], list[1], list[2:2+n], list[2+n:]
	return s, nil
}

// ended is how the process ended.
type ended struct {
	status unix.WaitStatus
	cpu    time.Duration
	rss    int64 // bytes
	others bool  // processes of the job are left
}

func (e *ended) encode() []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(e.status))
	b = binary.LittleEndian.AppendUint64(b, uint64(e.cpu))
	b = binary.LittleEndian.AppendUint64(b, uint64(e.rss))
	if e.others {
		return append(b, 1)
	}
	return append(b, 0)
}

func decodeEnded(b []byte) (e ended, err error) {
	if len(b) != 21 {
		return e, errMessage
	}
	return ended{status: unix.WaitStatus(binary.LittleEndian.Uint32(b)), cpu: time.Duration(binary.LittleEndian.Uint64(b[4:])),
		rss: int64(binary.LittleEndian.Uint64(b[12:])), others: b[20] != 0}, nil
}

// swept is what was killed.
type swept struct {
	killed, left int
	names        []string // of the first few
}

func (s *swept) encode() []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(s.killed))
	b = binary.LittleEndian.AppendUint32(b, uint32(s.left))
	return append(b, strings.Join(s.names, "\x00")...)
}

func decodeSwept(b []byte) (s swept, err error) {
	if len(b) < 8 {
		return s, errMessage
	}
	s.killed, s.left = int(binary.LittleEndian.Uint32(b)), int(binary.LittleEndian.Uint32(b[4:]))
	if len(b) > 8 {
		s.names = strings.Split(string(b[8:]), "\x00")
	}
	return s, nil
}

// send writes one message. The descriptors go with its first byte.
func send(ctl int, kind byte, payload []byte, fds ...int) error {
	b := make([]byte, 5, 5+len(payload))
	b[0] = kind
	binary.LittleEndian.PutUint32(b[1:], uint32(len(payload)))
	b = append(b, payload...)
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	for len(b) > 0 {
		n, err := unix.SendmsgN(ctl, b, rights, nil, unix.MSG_NOSIGNAL)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		b, rights = b[n:], nil
	}
	return nil
}

// receive reads one message. The error is io.EOF when the other side is gone.
func receive(ctl int) (kind byte, payload []byte, fds []int, err error) {
	var head [5]byte
	var oob [64]byte
	n, oobn := 0, 0
	for {
		n, oobn, _, _, err = unix.Recvmsg(ctl, head[:], oob[:], unix.MSG_CMSG_CLOEXEC|unix.MSG_WAITALL)
		if err != unix.EINTR {
			break
		}
	}
	if oobn > 0 {
		if messages, parseErr := unix.ParseSocketControlMessage(oob[:oobn]); parseErr == nil && len(messages) == 1 {
			fds, _ = unix.ParseUnixRights(&messages[0])
		}
	}
	if n == 0 && (err == nil || err == unix.ECONNRESET) {
		return 0, nil, fds, io.EOF
	}
	if err == nil && n != len(head) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return 0, nil, fds, err
	}
	payload = make([]byte, binary.LittleEndian.Uint32(head[1:]))
	for rest := payload; len(rest) > 0; {
		n, err := unix.Read(ctl, rest)
		if err == unix.EINTR {
			continue
		}
		if err == nil && n == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return 0, nil, fds, err
		}
		rest = rest[n:]
	}
	return head[0], payload, fds, nil
}
