package sandbox

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

var archEscapes = []escape{
	{name: "ports", root: true, without: "a kernel may be built without it", try: func(target) error { return call(unix.SYS_IOPL, 3) }},
	{name: "system calls of i386", without: "a kernel may be built without it", try: func(target) error {
		if err := os.WriteFile("i386", i386(), 0o755); err != nil {
			return err
		}
		err := exec.Command("./i386").Run()
		if exit, ok := err.(*exec.ExitError); ok && exit.ExitCode() == 42 {
			return nil
		}
		return fmt.Errorf("it ended with %v", err)
	}},
	{name: "system calls of x32", without: "a kernel may be built without it", try: func(target) error {
		return call(1<<30 | unix.SYS_GETPID)
	}},
}

// i386 is the smallest 32-bit program: it ends with 42.
func i386() []byte {
	const base = 0x8048000
	code := []byte{0xb8, 1, 0, 0, 0, 0xbb, 42, 0, 0, 0, 0xcd, 0x80} // mov eax, 1; mov ebx, 42; int 0x80
	b := []byte("\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	for _, v := range []uint16{2, 3} { // executable, i386
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	for _, v := range []uint32{1, base + 84, 52, 0, 0} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	for _, v := range []uint16{52, 32, 1, 0, 0, 0} {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	size := uint32(84 + len(code))
	for _, v := range []uint32{1, 0, base, base, size, size, 5, 0x1000} { // one segment, read and execute
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return append(b, code...)
}
