package agent

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// dirPath is a name for the open directory dir that stays right whatever is renamed. The child process resolves it
// before its descriptors are closed.
func dirPath(dir *os.File, _ string) string { return "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) }

// startWriteback makes the disk begin, so that syncing many files is waiting for one.
func startWriteback(f *os.File) {
	unix.SyncFileRange(int(f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
}

func datasync(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }

// Executable is the path under which this program can be started again, also when its file was replaced meanwhile.
func Executable() (string, error) { return "/proc/self/exe", nil }

// limitData lets this process write to so many bytes of memory; 0 is without limit.
func limitData(bytes int64) error {
	if bytes <= 0 {
		return nil
	}
	return unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: uint64(bytes), Max: uint64(bytes)})
}
