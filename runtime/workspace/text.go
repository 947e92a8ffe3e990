package workspace

import (
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// maxText is how long a file that people write for the workspace may be, in bytes.
const maxText = 16 << 20

// ReadText reads a file that people wrote, at the end of symbolic links, too. Whatever lies there does not make the caller
// wait: what is no regular file is refused, and so is one of more than 16 MiB. The error is an *fs.PathError.
func ReadText(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "read", Path: path, Err: errNotRegular}
	}
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err == nil && len(text) > maxText {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("has more than %d bytes", maxText)}
	}
	return text, err
}
