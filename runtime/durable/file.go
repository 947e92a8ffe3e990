package durable

import (
	"io"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// File is a file that grows at its end. It goes past os.File so that one Write is one write(2), and so that tests can
// break each call.
type File struct {
	fd     int
	path   string
	faults Faults
}

// OpenAppend opens an existing regular file; symbolic links are refused. faults is nil but in tests.
func OpenAppend(path string, faults Faults) (*File, error) {
	return openFile(path, unix.O_RDWR|unix.O_APPEND|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0, faults)
}

// CreateAppend makes a file that does not exist; where it does, the error is fs.ErrExist. Its name is on the disk only
// after SyncDir of its folder.
func CreateAppend(path string, perm fs.FileMode, faults Faults) (*File, error) {
	return openFile(path, unix.O_RDWR|unix.O_APPEND|unix.O_NOFOLLOW|unix.O_CREAT|unix.O_EXCL, perm, faults)
}

func openFile(path string, flags int, perm fs.FileMode, faults Faults) (*File, error) {
	f := &File{fd: -1, path: path, faults: faults}
	err := faults.inject(OpOpen, func() (err error) {
		f.fd, err = openFD(path, flags, perm)
		return err
	})
	if err == nil {
		var st Stat
		if st, err = statFD(f.fd, path); err == nil && !st.Regular {
			err = unix.EINVAL
		}
	}
	if err != nil {
		if f.fd >= 0 {
			unix.Close(f.fd)
		}
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return f, nil
}

// Write appends data at the end of the file. Unless the disk is full or a quota reached, it is one write(2).
func (f *File) Write(data []byte) (int, error) {
	if fault := f.faults.ask(OpWrite); fault != nil {
		if fault.Persist {
			if err := writeFD(f.fd, data); err != nil {
				return 0, f.wrap("write", err)
			}
		} else if fault.Bytes > 0 {
			if err := writeFD(f.fd, data[:min(fault.Bytes, len(data))]); err != nil {
				return 0, f.wrap("write", err)
			}
		}
		return 0, f.wrap("write", fault.Err)
	}
	if err := writeFD(f.fd, data); err != nil {
		return 0, f.wrap("write", err)
	}
	return len(data), nil
}

// Datasync brings what was written, and the length of the file, to the disk. After an error nothing is known of what is
// there, and asking again would get a wrong answer: Linux reports a lost page once.
func (f *File) Datasync() error {
	return f.wrap("fdatasync", f.faults.inject(OpSync, func() error { return dataSyncFD(f.fd) }))
}

// Truncate cuts the file to size bytes.
func (f *File) Truncate(size int64) error {
	return f.wrap("truncate", f.faults.inject(OpTruncate, func() error {
		return retry(func() error { return unix.Ftruncate(f.fd, size) })
	}))
}

// SyncName brings the name of the file to the disk, and those of the folders above it: levels is how many folders are
// synced, beginning with the one that has the file.
func (f *File) SyncName(levels int) error {
	return f.faults.inject(OpSyncName, func() error {
		dir := f.path
		for range levels {
			dir = filepath.Dir(dir)
			if err := SyncDir(dir); err != nil {
				return err
			}
		}
		return nil
	})
}

// Remove deletes the name of the file and brings that to the disk.
func (f *File) Remove() error {
	return f.faults.inject(OpRemove, func() error {
		if err := remove(f.path); err != nil {
			return err
		}
		return SyncDir(filepath.Dir(f.path))
	})
}

// ReadAt reads like io.ReaderAt.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Pread(f.fd, p[done:], off+int64(done))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return done, f.wrap("read", err)
		case n == 0:
			return done, io.EOF
		default:
			done += n
		}
	}
	return done, nil
}

// Stat describes the open file.
func (f *File) Stat() (Stat, error) { return statFD(f.fd, f.path) }

// Path returns the path under which the file was opened.
func (f *File) Path() string { return f.path }

// Close closes the file, and syncs nothing.
func (f *File) Close() error { return f.wrap("close", unix.Close(f.fd)) }

func (f *File) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: f.path, Err: err}
}
