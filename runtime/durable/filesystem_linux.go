package durable

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// magics are the numbers of statfs(2), of linux/magic.h and of the file systems outside the kernel.
var magics = map[uint32]string{
	0xEF53: "ext4", 0x58465342: "xfs", 0x9123683E: "btrfs", 0x01021994: "tmpfs", 0x794C7630: "overlay",
	0x2FC12FC1: "zfs", 0xF2F52010: "f2fs", 0xCA451A4E: "bcachefs", 0x3153464A: "jfs", 0x52654973: "reiserfs",
	0x4D44: "vfat", 0x2011BAB0: "exfat", 0x7366746E: "ntfs3", 0x858458F6: "ramfs", 0x73717368: "squashfs",
	0xE0F5E1E2: "erofs", 0x9660: "iso9660", 0xF15F: "ecryptfs",
	0x6969: "nfs", 0xFF534D42: "cifs", 0x517B: "smb", 0xFE534D42: "smb2", 0x564C: "ncpfs", 0x01021997: "9p",
	0x5346414F: "afs", 0x6B414653: "afs", 0x73757245: "coda", 0x00C36400: "ceph", 0x0BD00BD0: "lustre",
	0x01161970: "gfs2", 0x7461636F: "ocfs2", 0x20030528: "orangefs", 0x19830326: "beegfs", 0x47504653: "gpfs",
	0x786F4256: "vboxsf", fuseMagic: "fuse",
}

const fuseMagic = 0x65735546

// FileSystem tells on what kind of file system path lies.
func FileSystem(path string) (FS, error) {
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Statfs(path, &st) }); err != nil {
		return FS{}, &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	magic := uint32(st.Type)
	name, known := magics[magic]
	if !known {
		name = fmt.Sprintf("%#x", magic)
	}
	if magic == fuseMagic {
		if mounted, err := mountedAs(path); err == nil && mounted != "" {
			name = mounted
		}
	}
	return FS{Name: name, Network: networks[name]}, nil
}

// mountedAs finds the type of the mount on which path lies, which for FUSE says more than the number does.
func mountedAs(path string) (string, error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Stat(path, &st) }); err != nil {
		return "", err
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	defer f.Close()
	device := fmt.Sprintf("%d:%d", unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev)))
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if name, ok := parseMount(lines.Text(), device); ok {
			return name, nil
		}
	}
	return "", lines.Err()
}

// parseMount returns the type in a line of proc_pid_mountinfo(5) that is about device: the third field is the device, and
// the type comes first behind the field that is a single hyphen.
func parseMount(line, device string) (string, bool) {
	fields := strings.Fields(line)
	if len(fields) < 3 || fields[2] != device {
		return "", false
	}
	for i, field := range fields {
		if i >= 6 && field == "-" && i+1 < len(fields) {
			return fields[i+1], true
		}
	}
	return "", false
}
