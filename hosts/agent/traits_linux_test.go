package agent

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFolderTraits: what a job gives its folders beside contents goes with it, also where its runner died.
func TestFolderTraits(t *testing.T) {
	acl := binary.LittleEndian.AppendUint32(nil, 2) // struct posix_acl_xattr_header, then tag, permissions and id of each entry
	for _, e := range [][3]uint32{{1, 7, 1<<32 - 1}, {2, 7, 65534}, {4, 0, 1<<32 - 1}, {16, 7, 1<<32 - 1}, {32, 0, 1<<32 - 1}} {
		acl = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(acl, uint16(e[0])), uint16(e[1]))
		acl = binary.LittleEndian.AppendUint32(acl, e[2])
	}
	for name, set := range map[string]func(path string) error{
		"attribute":   func(path string) error { return unix.Setxattr(path, "user.note", []byte("x"), 0) },
		"default ACL": func(path string) error { return unix.Setxattr(path, "system.posix_acl_default", acl, 0) },
		"ACL":         func(path string) error { return unix.Setxattr(path, "system.posix_acl_access", acl, 0) },
		"flag": func(path string) error {
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
			if err != nil {
				return err
			}
			return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags|0x40) // not to be dumped
		},
		"group": func(path string) error {
			groups, err := os.Getgroups()
			for _, g := range groups {
				if err == nil && g != os.Getegid() {
					return os.Chown(path, -1, g)
				}
			}
			if os.Geteuid() == 0 {
				return os.Chown(path, -1, 65534)
			}
			return unix.EOPNOTSUPP
		},
	} {
		for _, inside := range inner {
			for _, died := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s of %s, died %t", name, inside, died), func(t *testing.T) {
					f := &folders{dir: t.TempDir()}
					defer func() { f.close() }()
					d, err := f.take()
					if err != nil {
						t.Fatal(err)
					}
					plain, err := traits(d.dirs[0])
					if err != nil {
						t.Fatal(err)
					}
					path := d.path + "/" + inside
					if err := set(path); errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOTTY) {
						t.Skipf("not on this machine: %v", err)
					} else if err != nil {
						t.Fatal(err)
					}
					if d.pristine() {
						t.Error("nothing is noticed")
					}
					if died {
						d.close() // the lock goes, the folder stays
						f = &folders{dir: f.dir}
					} else {
						f.give(d)
					}
					again, err := f.take()
					if err != nil {
						t.Fatal(err)
					}
					for i := range again.dirs {
						if now, err := traits(again.dirs[i]); err != nil || now != plain {
							t.Errorf("%s: %v\n%s\n%s", inner[i], err, now, plain)
						}
					}
					if !again.pristine() {
						t.Error("the new one is not as it should be")
					}
					f.give(again)
				})
			}
		}
	}
}
