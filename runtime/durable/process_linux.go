package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// BootID names the time from one boot of the machine to the next.
func BootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(b)), nil
}

// ProcessStart returns when a process was started, in clock ticks since boot. Where there is none with this number, or
// it has ended and only waits to be reaped, the error is fs.ErrNotExist.
func ProcessStart(pid int) (int64, error) {
	path := "/proc/" + strconv.Itoa(pid) + "/stat"
	b, err := os.ReadFile(path)
	if errors.Is(err, unix.ESRCH) {
		// It ended between open and read.
		err = &fs.PathError{Op: "read", Path: path, Err: fs.ErrNotExist}
	}
	if err != nil {
		return 0, err
	}
	state, start, err := parseStat(b)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	if state == 'Z' || state == 'X' {
		return 0, &fs.PathError{Op: "read", Path: path, Err: fs.ErrNotExist}
	}
	return start, nil
}

// parseStat takes fields 3 and 22 out of proc_pid_stat(5). The second field is the name of the program in parentheses;
// it may have spaces and parentheses of its own, so that counting begins behind the last one.
func parseStat(b []byte) (state byte, start int64, err error) {
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return 0, 0, errors.New("no program name")
	}
	fields := bytes.Fields(b[i+1:])
	if len(fields) < 20 {
		return 0, 0, fmt.Errorf("%d fields behind the program name, 20 expected", len(fields))
	}
	start, err = strconv.ParseInt(string(fields[19]), 10, 64)
	return fields[0][0], start, err
}
