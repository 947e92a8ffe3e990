package sandbox

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// DefaultOutputLimit is how many bytes of a stream are kept.
const DefaultOutputLimit = 1 << 20

// Capture keeps what a process writes to one stream: up to Limit bytes in the file Path, which is created (with its
// folder) only when there is something to write, and the first HeadLimit of them in memory. The rest is counted. It is
// an io.Writer that never fails, because a job must not hang or die of our full disk: Err has what went wrong.
type Capture struct {
	Path      string
	Limit     int64 // 0 is DefaultOutputLimit
	HeadLimit int   // 0 is nothing
	// Ready gives the file Path a name and returns it, where it was made before it was known to be needed. Where it fails, or
	// is nil, the file is made when there is something to write.
	Ready func(path string) (*os.File, error)
	// Clean makes what is to be kept of what was written, cut off at Limit or not. With it nothing is in the file before Close; nil keeps it as
	// it is.
	Clean func(kept []byte, cut bool) []byte

	Head  []byte // the beginning
	Bytes int64  // written by the process
	Kept  int64  // of these, in the file
	Err   error  // of the file; the bytes from there on are lost

	file *os.File
	hash hash.Hash
	held []byte // with Clean, what is to be kept
}

// Write takes over p.
func (c *Capture) Write(p []byte) (int, error) {
	n := len(p)
	c.Bytes += int64(n)
	limit := c.Limit
	if limit == 0 {
		limit = DefaultOutputLimit
	}
	if room := limit - c.Kept; int64(len(p)) > room {
		p = p[:max(room, 0)]
	}
	if len(p) == 0 || c.Err != nil {
		return n, nil
	}
	if c.Clean != nil {
		c.held = append(c.held, p...)
		c.Kept += int64(len(p))
		return n, nil
	}
	c.keep(p)
	return n, nil
}

// keep writes p to the file, which has room for it.
func (c *Capture) keep(p []byte) {
	if room := c.HeadLimit - len(c.Head); room > 0 {
		c.Head = append(c.Head, p[:min(room, len(p))]...)
	}
	if c.file == nil {
		if c.file, c.Err = c.create(); c.Err != nil {
			return
		}
		c.hash = sha256.New()
	}
	var kept int
	kept, c.Err = c.file.Write(p)
	c.hash.Write(p[:kept])
	c.Kept += int64(kept)
}

// settle writes what was held back until now. Where nothing was cut off, the stream counts as one that had no more than that.
func (c *Capture) settle() {
	cut := c.Truncated()
	clean := c.Clean(c.held, cut)
	c.held, c.Clean, c.Kept = nil, nil, 0
	if len(clean) > 0 {
		c.keep(clean)
	}
	if c.Bytes = max(c.Bytes, c.Kept+1); !cut {
		c.Bytes = c.Kept
	}
}

// create replaces what an earlier attempt left at the path.
func (c *Capture) create() (*os.File, error) {
	if c.Ready != nil {
		if f, err := c.Ready(c.Path); err == nil {
			return f, nil
		}
	}
	path := c.Path
	const flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC | syscall.O_NOFOLLOW
	f, err := os.OpenFile(path, flags, 0o644)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o755); err == nil {
			f, err = os.OpenFile(path, flags, 0o644)
		}
	}
	return f, err
}

// Close ends the capture; with sync, what was kept is on disk afterwards.
func (c *Capture) Close(sync bool) error {
	if c.Clean != nil && len(c.held) > 0 {
		c.settle()
	}
	if c.file == nil {
		return c.Err
	}
	if sync && c.Err == nil {
		c.Err = c.file.Sync()
	}
	if err := c.file.Close(); c.Err == nil {
		c.Err = err
	}
	c.file = nil
	return c.Err
}

// SHA256 returns the digest of the kept bytes in hex, or "" where there are none.
func (c *Capture) SHA256() string {
	if c.hash == nil || c.Kept == 0 {
		return ""
	}
	return hex.EncodeToString(c.hash.Sum(nil))
}

// Truncated reports whether the process wrote more than was kept.
func (c *Capture) Truncated() bool { return c.Bytes > c.Kept }
