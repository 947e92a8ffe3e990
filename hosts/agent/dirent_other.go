//go:build unix && !linux

package agent

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// entry is one name in a folder, with its type.
type entry struct {
	name string
	mode fs.FileMode
}

// eachEntry calls each with the names in an open folder and their types.
func eachEntry(fd int, _ []byte, each func(name []byte, mode fs.FileMode)) error {
	own, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	dir := os.NewFile(uintptr(own), ".")
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	for _, e := range entries {
		each([]byte(e.Name()), e.Type())
	}
	return err
}
