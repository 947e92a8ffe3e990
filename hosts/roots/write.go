package roots

import (
	"crypto/rand"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Mode says what a write does with a file that is there, or not.
type Mode int

// The modes. Create fails where the file exists. Overwrite replaces it in one step, or creates it. Append adds to it,
// or creates it; only Append can leave half of what it wrote when it is interrupted.
const (
	Create Mode = iota
	Overwrite
	Append
)

// WriteFile writes data to the file path and syncs it. Missing directories on the way are made. A file that is replaced
// keeps its permissions; a new one has 0644 less the umask. The error is a *PathError.
func (r *Roots) WriteFile(path string, data []byte, mode Mode) error {
	_, err := r.Update(path, mode, func(*os.File) ([]byte, error) { return data, nil })
	return err
}

// Update writes what change returns to the file path, as WriteFile does. change is given the present file, or nil
// where there is none, or where mode is Create. Its errors are returned as they are. existed reports whether there was a
// file.
func (r *Roots) Update(path string, mode Mode, change func(old *os.File) ([]byte, error)) (existed bool, err error) {
	for range appendTries {
		existed, err = r.updateOnce(path, mode, change)
		if p, ok := errors.AsType[*PathError](err); mode != Append || !ok || p.Code != Exists {
			break
		}
		// Somebody else has made the file since it was looked for: there is one to append to now.
	}
	return existed, err
}

// appendTries bounds how often a file that comes and goes is looked for.
const appendTries = 10

func (r *Roots) updateOnce(path string, mode Mode, change func(old *os.File) ([]byte, error)) (existed bool, err error) {
	var w walk
	defer w.close()
	names, dir, fail := r.start(&w, path)
	if fail == nil && dir {
		fail = fault(NotAFile, "the path ends like that of a directory")
	}
	if fail == nil {
		existed, fail, err = w.update(names, mode, change)
	}
	if fail != nil {
		fail.Path = path
		return existed, fail
	}
	return existed, err
}

func (w *walk) update(names []string, mode Mode, change func(*os.File) ([]byte, error)) (bool, *PathError, error) {
	at, fail := w.to(names, false, false)
	if fail == nil && at.found {
		fail = at.regular(false)
	}
	if fail == nil && at.found && mode == Create {
		fail = sysFault("create", at.name, unix.EEXIST)
	}
	if fail != nil {
		return at.found, fail, nil
	}
	var old *os.File
	if at.found {
		flags := unix.O_RDONLY
		if mode == Append {
			flags = unix.O_RDWR | unix.O_APPEND
		}
		if old, fail = at.open(flags); fail != nil {
			return true, fail, nil
		}
		defer old.Close()
	}
	data, err := change(old)
	if err != nil {
		return at.found, nil, err
	}
	if at.found && mode == Append {
		return true, at.extend(old, data), nil
	}
	dirfd, fail := w.makeDirs(&at)
	if fail != nil {
		return at.found, fail, nil
	}
	return at.found, at.put(dirfd, data, mode), nil
}

func (at *target) extend(f *os.File, data []byte) *PathError {
	if _, err := f.Write(data); err != nil {
		return sysFault("append to", at.name, err)
	}
	if err := f.Sync(); err != nil {
		return sysFault("sync", at.name, err)
	}
	return nil
}

// makeDirs makes the directories that are missing on the way, and returns the one in which the file belongs.
func (w *walk) makeDirs(at *target) (int, *PathError) {
	for len(at.missing) > 1 {
		name := at.missing[0]
		dir := w.top()
		if fail := w.r.named(join(dir.path, name)); fail != nil {
			return -1, fail
		}
		if err := unix.Mkdirat(dir.fd, name, 0o755); err != nil && err != unix.EEXIST {
			return -1, sysFault("make the directory", name, err)
		}
		// The directory is entered like any other: what lies there now need not be what was made.
		next, fail := w.to([]string{name}, false, true)
		switch {
		case fail != nil:
			return -1, fail
		case !next.found || next.kind() != unix.S_IFDIR:
			return -1, fault(Changed, "%q was replaced meanwhile", name)
		}
		if err := syncDir(dir.fd); err != nil {
			return -1, sysFault("sync", dir.path, err)
		}
		at.missing = at.missing[1:]
	}
	if at.missing != nil {
		// The walk ended above the missing directories, and so has not seen the file's own name.
		missing := at.missing
		next, fail := w.to(missing, false, false)
		switch {
		case fail != nil:
			return -1, fail
		case next.found:
			return -1, sysFault("create", next.name, unix.EEXIST)
		}
		next.missing = nil
		*at = next
	}
	return at.dir.fd, nil
}

// put makes a file of data beside the target, and gives it the target's name when it is complete and on disk.
func (at *target) put(dirfd int, data []byte, mode Mode) *PathError {
	perm := uint32(0o644)
	if at.found {
		perm = at.info.mode & 0o777
	}
	temp := ".sheratan-" + rand.Text()[:12] + ".tmp"
	fd, err := openAt(dirfd, temp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, perm)
	if err != nil {
		return sysFault("create a file beside", at.name, err)
	}
	f := file(fd, temp)
	_, err = f.Write(data)
	if err == nil && at.found {
		err = f.Chmod(os.FileMode(perm)) // what the umask took
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		if at.found && mode != Create {
			err = unix.Renameat(dirfd, temp, dirfd, at.name)
		} else {
			err = renameNoReplace(dirfd, temp, at.name)
		}
	}
	if err != nil {
		unix.Unlinkat(dirfd, temp, 0)
		return sysFault("write", at.name, err)
	}
	if err := syncDir(dirfd); err != nil {
		return sysFault("sync the directory of", at.name, err)
	}
	return nil
}

// linkNoReplace renames from to to unless to exists, where the system has no call for that.
func linkNoReplace(dirfd int, from, to string) error {
	if err := unix.Linkat(dirfd, from, dirfd, to, 0); err != nil {
		return err
	}
	return unix.Unlinkat(dirfd, from, 0)
}

// syncDir makes the names in a directory durable. A descriptor that is only a place (O_PATH) cannot be synced.
func syncDir(dirfd int) error {
	fd, err := openAt(dirfd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == unix.EACCES {
		return nil // writable but not readable: nothing can be opened that would sync it
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Fsync(fd); err != nil && err != unix.EINVAL {
		return err
	}
	return nil
}
