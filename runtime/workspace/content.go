package workspace

import (
	"errors"
	"io"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// Content is what was read of a file, and what the file system says of it.
type Content struct {
	Type     string
	Data     []byte // the whole file, or its beginning where Partial
	Partial  bool   // the file is longer than Data
	Bytes    int64  // the length of the file
	OwnerUID int    // -1 where it is not known
	Links    int    // names that the file has; more than one means that somebody can still reach it
	Changed  time.Time
	Err      error // why a regular file could not be read, for example fs.ErrPermission; Data is empty

	id fileID
}

// Whole returns the bytes of the file where all of them were read.
func (c *Content) Whole() ([]byte, bool) {
	return c.Data, c.Type == TypeFile && !c.Partial && c.Err == nil
}

// fileID tells whether a name still leads to the file that was read. Number and device alone do not: a number is used
// again as soon as its file is deleted.
type fileID struct {
	dev, ino uint64
	size     int64
	mtime    unix.Timespec
}

func idOf(st *unix.Stat_t) fileID {
	return fileID{dev: uint64(st.Dev), ino: uint64(st.Ino), size: st.Size, mtime: st.Mtim}
}

func contentOf(st *unix.Stat_t) Content {
	return Content{
		Type:     typeOfStat(st),
		Bytes:    st.Size,
		OwnerUID: int(st.Uid),
		Links:    int(st.Nlink),
		Changed:  time.Unix(st.Ctim.Unix()),
		id:       idOf(st),
	}
}

// readContent reads at most limit bytes of the file at path; limit < 0 reads none. It never follows a link, never waits
// for a writer, and reads nothing but regular files. It goes past os.File, which would register each file with the
// poller: there may be thousands.
//
// The error is about path as such (it is gone, a folder of it is missing). A file that is there and cannot be read is a
// Content with Err.
func readContent(path string, limit int64) (Content, error) {
	fd, err := openFD(path)
	if err != nil {
		return unopened(path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(fd, &st) }); err != nil {
		return Content{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	c := contentOf(&st)
	if c.Type != TypeFile || limit < 0 {
		return c, nil
	}
	// One byte more than the file had shows whether it grew meanwhile.
	buf := make([]byte, min(st.Size, limit)+1)
	n, err := readFull(fd, buf)
	if err != nil {
		c.Err = &fs.PathError{Op: "read", Path: path, Err: err}
		return c, nil
	}
	c.Partial = n == len(buf)
	c.Data = buf[:min(n, len(buf)-1)]
	if !c.Partial {
		c.Bytes = int64(n)
	}
	return c, nil
}

// unopened describes what could not be opened.
func unopened(path string, cause error) (Content, error) {
	wrapped := &fs.PathError{Op: "open", Path: path, Err: cause}
	switch cause {
	case unix.ENOENT, unix.ENOTDIR:
		return Content{}, wrapped
	case unix.EMFILE, unix.ENFILE, unix.ENOMEM:
		return Content{}, wrapped // says nothing about the file: it is not to be taken for one that cannot be read
	}
	var st unix.Stat_t
	if err := retry(func() error { return unix.Lstat(path, &st) }); err != nil {
		return Content{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	c := contentOf(&st)
	if c.Type == TypeFile {
		c.Err = wrapped
	}
	return c, nil
}

// errNotRegular is wrapped with the path of what was expected to be a regular file.
var errNotRegular = errors.New("is not a regular file")

// File is an open regular file.
type File struct {
	fd   int
	path string
	stat Content
}

func openRegular(path string) (*File, error) {
	fd, err := openFD(path)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	var st unix.Stat_t
	err = retry(func() error { return unix.Fstat(fd, &st) })
	if err == nil && typeOfStat(&st) != TypeFile {
		err = errNotRegular
	}
	if err != nil {
		_ = unix.Close(fd) // nothing was written
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &File{fd: fd, path: path, stat: contentOf(&st)}, nil
}

// Read reads on, as io.Reader says.
func (f *File) Read(p []byte) (int, error) {
	n, err := readFull(f.fd, p)
	if err != nil {
		return n, &fs.PathError{Op: "read", Path: f.path, Err: err}
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// OwnerUID is the user whose file it is.
func (f *File) OwnerUID() int { return f.stat.OwnerUID }

// Size is the length that the file had when it was opened.
func (f *File) Size() int64 { return f.stat.Bytes }

// Close closes the file.
func (f *File) Close() error { return unix.Close(f.fd) }

func openFD(path string) (fd int, err error) {
	err = retry(func() error {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		return err
	})
	return fd, err
}

func readFull(fd int, buf []byte) (int, error) {
	n := 0
	for n < len(buf) {
		m, err := unix.Read(fd, buf[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return n, err
		}
		if m == 0 {
			break
		}
		n += m
	}
	return n, nil
}

// retry repeats a system call that a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
