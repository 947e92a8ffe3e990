//go:build linux && !amd64 && !arm64

package sandbox

import "golang.org/x/sys/unix"

// clonable says that there is neither assembly nor a filter for this architecture, and so no level above none.
const clonable = false

func vfork(*birth) (pid, errno uintptr) { return 0, uintptr(unix.ENOSYS) }

func filter(Level, bool, int) ([]unix.SockFilter, error) { return nil, unix.ENOSYS }
