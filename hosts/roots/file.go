package roots

import (
	"os"

	"golang.org/x/sys/unix"
)

// OpenFile opens a regular file for reading. The error is a *PathError.
func (r *Roots) OpenFile(path string) (*os.File, error) {
	var w walk
	defer w.close()
	names, dir, err := r.start(&w, path)
	var f *os.File
	if err == nil {
		f, err = w.openFile(names, dir)
	}
	if err != nil {
		err.Path = path
		return nil, err
	}
	return f, nil
}

func (w *walk) openFile(names []string, dir bool) (*os.File, *PathError) {
	at, err := w.existing(names, dir)
	if err != nil {
		return nil, err
	}
	return at.open(unix.O_RDONLY)
}

// existing walks to a file that has to be there and regular.
func (w *walk) existing(names []string, dir bool) (target, *PathError) {
	at, err := w.to(names, true, false)
	if err != nil {
		return at, err
	}
	if !at.found {
		return at, sysFault("open", at.name, unix.ENOENT)
	}
	return at, at.regular(dir)
}

func (at *target) regular(dir bool) *PathError {
	if err := usable(*at, dir); err != nil {
		return err
	}
	if at.kind() == unix.S_IFDIR {
		return sysFault("open", at.name, unix.EISDIR)
	}
	return nil
}

// open opens the file that the walk found, and makes sure that it still is that one. O_NONBLOCK is for the case that
// it was replaced by a FIFO, which would wait for a writer.
func (at *target) open(flags int) (*os.File, *PathError) {
	fd, err := openAt(at.dir.fd, at.name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, sysFault("open", at.name, err)
	}
	in, err := statAt(fd, "")
	if err == nil && (in.ident != at.ident || in.kind() != unix.S_IFREG || in.nlink != 1) {
		unix.Close(fd)
		return nil, fault(Changed, "%q was replaced meanwhile", at.name)
	}
	if err == nil {
		err = unix.SetNonblock(fd, false)
	}
	if err != nil {
		unix.Close(fd)
		return nil, sysFault("open", at.name, err)
	}
	return file(fd, at.path), nil
}

// OpenDir opens a directory, and returns its absolute path as it was walked, without links. On Linux the descriptor
// serves only as a place to go from (O_PATH): to change to it, and be there whatever becomes of its name. The error is
// a *PathError.
func (r *Roots) OpenDir(path string) (dir *os.File, absolute string, err error) {
	var w walk
	defer w.close()
	at, fail := r.enterDir(&w, path)
	if fail == nil {
		var fd int
		if fd, err = unix.FcntlInt(uintptr(at.dir.fd), unix.F_DUPFD_CLOEXEC, 3); err == nil {
			return file(fd, at.path), at.path, nil
		}
		fail = sysFault("open", at.path, err)
	}
	fail.Path = path
	return nil, "", fail
}

// enterDir walks into a directory that has to be there.
func (r *Roots) enterDir(w *walk, path string) (target, *PathError) {
	names, _, err := r.start(w, path)
	if err != nil {
		return target{}, err
	}
	at, err := w.to(names, true, true)
	switch {
	case err != nil:
		return at, err
	case !at.found:
		return at, sysFault("open", at.name, unix.ENOENT)
	case at.kind() != unix.S_IFDIR:
		return at, sysFault("open", at.name, unix.ENOTDIR)
	}
	return at, nil
}
