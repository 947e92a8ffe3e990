//go:build !linux

package history

import "golang.org/x/sys/unix"

// bootID names the run of the operating system, "" where it cannot be told.
func bootID() string { return "" }

// syncFileSystem brings what was written to the disk. sync(2) may return before it is there.
func syncFileSystem(string) error {
	return unix.Sync()
}
