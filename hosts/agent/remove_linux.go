package agent

import (
	"errors"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// errMore says that a folder was not emptied in the time that there was for it.
var errMore = errors.New("holds more than could be removed in the time for it")

// removal empties a folder that a job had to itself, however deep and wide that made it. It goes by descriptors, two at a
// time: a path has an end, and so have the files that a process may open, and a job can make a tree that is deeper than both.
type removal struct {
	until  time.Time       // zero is without end
	stop   <-chan struct{} // nil is never
	done   int
	lifted int
}

// level is one folder on the way down.
type level struct {
	dev, ino uint64
	name     string // in the one above
}

// empty removes all that is in dir. The names of one folder are read a portion at a time, and removed before the next.
func (r *removal) empty(dir *os.File) error {
	at, err := unix.Openat(int(dir.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { unix.Close(at) }()
	var way []level
	refilled := 0
	for {
		if err := r.time(); err != nil {
			return err
		}
		down, err := r.files(at)
		if err != nil {
			return err
		}
		if down != "" {
			below, here, err := enter(at, down)
			if err != nil {
				return err
			}
			if len(way) >= deepest {
				// It goes to the top, from where on it is less deep; so who is interrupted has come further each time.
				unix.Close(below)
				if err := r.lift(at, down, int(dir.Fd())); err != nil {
					return err
				}
				continue
			}
			unix.Close(at)
			at = below
			way = append(way, here)
			continue
		}
		if len(way) == 0 {
			return nil
		}
		// Up again, which has to be where we came from: nothing that a job left moves any more, but who knows.
		last := way[len(way)-1]
		up, err := unix.Openat(at, "..", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		unix.Close(at)
		at = up
		var st unix.Stat_t
		if err := unix.Fstat(at, &st); err != nil {
			return err
		}
		if uint64(st.Dev) != last.dev || st.Ino != last.ino {
			return errors.New("a folder was moved while it was removed")
		}
		err = unix.Unlinkat(at, last.name, unix.AT_REMOVEDIR)
		if err != nil && err != unix.ENOENT && err != unix.ENOTEMPTY {
			return err
		}
		if err == unix.ENOTEMPTY {
			if refilled++; refilled > 100 {
				return err // somebody is still at work in there
			}
		}
		way = way[:len(way)-1]
	}
}

// deepest is how far down folders are removed where they are.
const deepest = 100

// lift moves a folder to the top, under a name that is free there.
func (r *removal) lift(at int, name string, top int) error {
	for {
		r.lifted++
		err := unix.Renameat2(at, name, top, ".lifted-"+strconv.Itoa(r.lifted), unix.RENAME_NOREPLACE)
		if err != unix.EEXIST {
			return err
		}
	}
}

func (r *removal) time() error {
	select {
	case <-r.stop:
		return errMore
	default:
	}
	if !r.until.IsZero() && time.Now().After(r.until) {
		return errMore
	}
	return nil
}

// files removes what is in a folder until it comes to a folder that is not empty, which it returns, or to the end.
func (r *removal) files(at int) (down string, err error) {
	buf := make([]byte, 32<<10)
	found := true
	for {
		n, err := unix.ReadDirent(at, buf)
		if err != nil {
			return "", err
		}
		if n == 0 && !found {
			return "", nil
		}
		if n == 0 {
			// From the beginning: what is removed while a folder is read may hide what comes behind it.
			found = false
			if _, err := unix.Seek(at, 0, 0); err != nil {
				return "", err
			}
			continue
		}
		_, _, names := unix.ParseDirent(buf[:n], -1, nil)
		found = found || len(names) > 0
		for _, name := range names {
			if r.done++; r.done%256 == 0 {
				if err := r.time(); err != nil {
					return "", err
				}
			}
			err := unix.Unlinkat(at, name, 0)
			if err == unix.EISDIR || err == unix.EPERM {
				if again := unix.Unlinkat(at, name, unix.AT_REMOVEDIR); again != unix.ENOTDIR {
					err = again
				}
			}
			switch err {
			case nil, unix.ENOENT:
			case unix.ENOTEMPTY, unix.EEXIST:
				return name, nil
			case unix.EACCES:
				// A job may take from itself the right to write to a folder, as module caches do.
				if err := unix.Fchmod(at, 0o700); err != nil {
					return "", err
				}
				if err := unix.Unlinkat(at, name, 0); err == unix.EISDIR || err == unix.EPERM {
					return name, nil
				} else if err != nil && err != unix.ENOENT {
					return "", &os.PathError{Op: "remove", Path: name, Err: err}
				}
			default:
				return "", &os.PathError{Op: "remove", Path: name, Err: err}
			}
		}
	}
}

// enter opens a folder in another one, also where a job took the right to do so from itself.
func enter(at int, name string) (fd int, here level, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(at, &st); err != nil {
		return -1, here, err
	}
	const flags = unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err = unix.Openat(at, name, unix.O_RDONLY|flags, 0)
	if err == unix.EACCES {
		var path int
		if path, err = unix.Openat(at, name, unix.O_PATH|flags, 0); err == nil {
			err = unix.Chmod("/proc/self/fd/"+strconv.Itoa(path), 0o700)
			unix.Close(path)
		}
		if err == nil {
			fd, err = unix.Openat(at, name, unix.O_RDONLY|flags, 0)
		}
	}
	if err != nil {
		return -1, here, &os.PathError{Op: "open", Path: name, Err: err}
	}
	// Reading is not enough to remove what is in it.
	var own unix.Stat_t
	if unix.Fstat(fd, &own) == nil && own.Mode&0o700 != 0o700 {
		unix.Fchmod(fd, 0o700)
	}
	return fd, level{dev: uint64(st.Dev), ino: st.Ino, name: name}, nil
}
