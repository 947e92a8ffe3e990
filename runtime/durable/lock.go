package durable

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// ErrLocked says that somebody else holds a lock.
var ErrLocked = errors.New("locked by another process")

// LockedFile is a held lock: flock(2), exclusive, on a file that is never deleted. It ends with Unlock or with the
// process, whichever comes first. Two handles exclude each other within one process as well.
type LockedFile struct {
	fd   int
	path string
}

// Lock takes the lock on the file at path, which it makes where it is missing, and waits for it as long as ctx allows.
func Lock(ctx context.Context, path string) (*LockedFile, error) {
	return lock(path, func(fd int) error {
		err := tryFlock(fd)
		if err != unix.EWOULDBLOCK {
			return err
		}
		return waitFlock(ctx, fd)
	})
}

// TryLock is Lock without waiting: where somebody else holds the lock, the error is ErrLocked.
func TryLock(path string) (*LockedFile, error) {
	return lock(path, func(fd int) error {
		err := tryFlock(fd)
		if err == unix.EWOULDBLOCK {
			return ErrLocked
		}
		return err
	})
}

// lock opens path and has take lock it. take owns the descriptor where it fails with errAbandoned.
func lock(path string, take func(fd int) error) (*LockedFile, error) {
	for {
		fd, err := openFD(path, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		if err := take(fd); err != nil {
			if !errors.Is(err, errAbandoned) {
				unix.Close(fd)
			}
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		// Somebody may have deleted the file against the rule: a lock on what is no longer there excludes nobody.
		held, err := sameInodeFD(fd, path)
		if err != nil {
			unix.Close(fd)
			return nil, err
		}
		if held {
			return &LockedFile{fd, path}, nil
		}
		unix.Close(fd)
	}
}

// Unlock releases the lock. It says so to the kernel before it closes the descriptor, because a process that is just
// being started from this one has a copy of it until it executes its program, and would hold the lock until then.
func (l *LockedFile) Unlock() error {
	err := retry(func() error { return unix.Flock(l.fd, unix.LOCK_UN) })
	if closeErr := unix.Close(l.fd); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("unlock %s: %w", l.path, err)
	}
	return nil
}

// Path returns the path that was given when the lock was taken.
func (l *LockedFile) Path() string { return l.path }

// errAbandoned joins the error of a context that ended while a thread was waiting for a lock in the kernel. The thread
// cannot be called back; when it gets the lock at last, it closes the descriptor and so lets go.
var errAbandoned = errors.New("given up waiting")

func waitFlock(ctx context.Context, fd int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	wait := func() error { return retry(func() error { return unix.Flock(fd, unix.LOCK_EX) }) }
	if ctx.Done() == nil {
		return wait()
	}
	// Waiting in the kernel rather than asking again and again: the lock is held for milliseconds and passed on at once.
	taken := make(chan error)
	go func() {
		err := wait()
		select {
		case taken <- err:
		case <-ctx.Done():
			unix.Close(fd)
		}
	}()
	select {
	case err := <-taken:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", errAbandoned, ctx.Err())
	}
}

func tryFlock(fd int) error {
	return retry(func() error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
}
