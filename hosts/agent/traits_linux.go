package agent

import (
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// traits are what a folder has beside its mode and its contents: owner and group, extended attributes, of which ACLs are
// some, flags, and the project that its space counts for. Where a file system has none of a kind, that is a trait too.
func traits(dir *os.File) (string, error) {
	fd := int(dir.Fd())
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", fmt.Errorf("%s: %w", dir.Name(), err)
	}
	var b strings.Builder
	flags, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
	var extended [28]byte // struct fsxattr
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), fsGetXattr, uintptr(unsafe.Pointer(&extended)))
	clear(extended[8:12]) // the number of extents, which grows with the names, as does the index
	fmt.Fprintf(&b, "%d %d %x %v %x %d\n", st.Uid, st.Gid, flags&^indexFlag, err, extended, errno)
	n, err := unix.Flistxattr(fd, nil)
	if err != nil || n == 0 {
		return b.String(), nil
	}
	names := make([]byte, n)
	if n, err = unix.Flistxattr(fd, names); err != nil {
		return "", fmt.Errorf("%s: its attributes: %w", dir.Name(), err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00") {
		value := make([]byte, 64<<10) // the most that the kernel takes
		n, err := unix.Fgetxattr(fd, name, value)
		fmt.Fprintf(&b, "%q %q %v\n", name, value[:max(n, 0)], err)
	}
	return b.String(), nil
}

const (
	fsGetXattr = 0x801c581f // FS_IOC_FSGETXATTR
	indexFlag  = 0x1000     // FS_INDEX_FL, which the file system sets
)
