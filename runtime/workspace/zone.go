package workspace

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/sheratan/sheratan/runtime/durable"
)

// Zones writes the files that show people and programs where each job is. They are made from the ledger and can be made
// again, so they are not synced; each appears whole. Its methods may be called at the same time.
type Zones struct {
	ws     *Workspace
	spares *spares
	remade func(dir string) // told of a folder of the layout that was missing, relative to the workspace
	chmod  bool             // the umask takes from others what a reply needs
}

// Zones prepares writing. remade may be nil.
func (w *Workspace) Zones(remade func(dir string)) *Zones {
	if remade == nil {
		remade = func(string) {}
	}
	return &Zones{ws: w, spares: w.spares(), remade: remade, chmod: umask()&0o044 != 0}
}

// Put writes a file of a zone, and replaces the one that we wrote there before.
func (z *Zones) Put(path string, data []byte) error {
	if done, err := z.spares.put(path, data, 0o600); done {
		return err
	}
	return z.write(path, data, 0o600, durable.ReplaceFile)
}

// Create writes a file of a zone that must not exist: the error is fs.ErrExist where it does.
func (z *Zones) Create(path string, data []byte) error {
	return z.write(path, data, 0o600, durable.CreateFile)
}

// PutReply writes the latest answer about a job to its proposer. Others may read the file, because the proposer may be a
// user of its own; who gets to it is decided by the folder, which is closed to everybody else.
func (z *Zones) PutReply(source, id string, data []byte) error {
	path := z.ws.Reply(source, id)
	if done, err := z.spares.put(path, data, 0o644); done {
		return err
	}
	if err := z.write(path, data, 0o644, durable.ReplaceFile); err != nil || !z.chmod {
		return err
	}
	return os.Chmod(path, 0o644)
}

func (z *Zones) write(path string, data []byte, mode fs.FileMode, put func(string, []byte, fs.FileMode) error) error {
	err := put(path, data, mode)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := z.mkdir(filepath.Dir(path)); err != nil {
		return err
	}
	return put(path, data, mode)
}

// mkdir makes a folder and says so where it belongs to the layout, and so was there once.
func (z *Zones) mkdir(dir string) error {
	rel := z.ws.Rel(dir)
	for _, f := range layout {
		if path := z.ws.path(f.name); within(dir, path) {
			if err := os.Mkdir(path, f.mode); err == nil {
				z.remade(f.name)
			} else if !errors.Is(err, fs.ErrExist) {
				return err
			}
			if f.name == rel {
				return nil
			}
		}
	}
	return os.MkdirAll(dir, 0o700)
}

// Remove takes a file out of a zone; one that is not there is no error.
func (z *Zones) Remove(path string) error {
	if z.spares.remove(path) {
		return nil
	}
	return unlink(path)
}

// within reports whether path is dir or lies in it; both are absolute and clean.
func within(path, dir string) bool {
	return path == dir || len(path) > len(dir) && path[:len(dir)] == dir && (path[len(dir)] == filepath.Separator || dir == "/")
}

// umask is read once, because the only way to read it everywhere is to set it.
var umask = sync.OnceValue(func() int {
	mask := unix.Umask(0o077)
	unix.Umask(mask)
	return mask
})
