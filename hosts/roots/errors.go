package roots

import (
	"errors"
	"fmt"
	"syscall"
)

// Code says what is wrong with a path. Gates and results show it as it is.
type Code string

// The codes. Those of the first group are violations: the path must never be tried again as it stands. Those of the
// second say how the file system was found, and may be different the next time.
const (
	NotAPath      Code = "NOT_A_PATH"     // empty, too long, not UTF-8, control characters, backslashes, ~
	Traversal     Code = "TRAVERSAL"      // a component is .., or would be read as such elsewhere
	OutsideRoots  Code = "OUTSIDE_ROOTS"  // absolute and in no root, or a symbolic link that leads out
	ForbiddenPath Code = "FORBIDDEN_PATH" // config, runtime, missions, a .git, or what would be rules
	Symlink       Code = "SYMLINK"        // a symbolic link where a file would be written
	SymlinkLoop   Code = "SYMLINK_LOOP"   // more than 40 symbolic links on the way
	HardLink      Code = "HARD_LINK"      // a file that has other names, perhaps outside
	SpecialFile   Code = "SPECIAL_FILE"   // a FIFO, socket or device

	NotFound      Code = "NOT_FOUND"
	Exists        Code = "EXISTS"
	NotAFile      Code = "NOT_A_FILE"
	NotADirectory Code = "NOT_A_DIRECTORY"
	Denied        Code = "DENIED"  // by the permissions of the file system
	Changed       Code = "CHANGED" // replaced by somebody between check and use
	NoSpace       Code = "NO_SPACE"
	TooMany       Code = "TOO_MANY" // names to look at
	IO            Code = "IO"
)

// PathError reports a path that cannot be used.
type PathError struct {
	Code    Code
	Path    string // as it was given
	Message string // one line, without the path
	Err     error  // of the system call, where there was one
}

// Error returns the path, quoted, and what is wrong with it.
func (e *PathError) Error() string { return fmt.Sprintf("%q: %s", e.Path, e.Message) }

// Unwrap returns the error of the system call.
func (e *PathError) Unwrap() error { return e.Err }

// Violation reports whether the path itself is at fault, so that no repetition can succeed.
func (e *PathError) Violation() bool {
	switch e.Code {
	case NotAPath, Traversal, OutsideRoots, ForbiddenPath, Symlink, SymlinkLoop, HardLink, SpecialFile:
		return true
	}
	return false
}

// fault is a PathError that does not know yet for which path it is.
func fault(code Code, format string, args ...any) *PathError {
	return &PathError{Code: code, Message: fmt.Sprintf(format, args...)}
}

// sysFault translates the error of a system call on the component name.
func sysFault(op, name string, err error) *PathError {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		var already *PathError
		if errors.As(err, &already) {
			return already
		}
		return &PathError{Code: IO, Message: fmt.Sprintf("%s %q: %v", op, name, err), Err: err}
	}
	code, text := IO, fmt.Sprintf("%s %q: %v", op, name, errno)
	switch errno {
	case syscall.ENOENT:
		code, text = NotFound, fmt.Sprintf("%q does not exist", name)
	case syscall.EEXIST:
		code, text = Exists, fmt.Sprintf("%q exists already", name)
	case syscall.ENOTDIR:
		code, text = NotADirectory, fmt.Sprintf("%q is not a directory", name)
	case syscall.EISDIR:
		code, text = NotAFile, fmt.Sprintf("%q is a directory", name)
	case syscall.ELOOP:
		code, text = Symlink, fmt.Sprintf("%q is a symbolic link", name)
	case syscall.EACCES, syscall.EPERM, syscall.EROFS:
		code = Denied
	case syscall.ENAMETOOLONG:
		code = NotAPath
	case syscall.ENOSPC, syscall.EDQUOT:
		code = NoSpace
	case syscall.ENXIO, syscall.ENODEV:
		code, text = SpecialFile, fmt.Sprintf("%q is not a regular file", name)
	}
	return &PathError{Code: code, Message: text, Err: errno}
}
