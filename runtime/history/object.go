package history

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"
	"golang.org/x/sync/errgroup"
)

// ObjectError says that a git object is missing or damaged: empty, cut short, or with another content than its name says.
type ObjectError struct {
	Hash string
	Type string // commit, tree or blob
	Err  error
}

func (e *ObjectError) Error() string { return fmt.Sprintf("git %s %s: %v", e.Type, e.Hash, e.Err) }
func (e *ObjectError) Unwrap() error { return e.Err }

var errContent = errors.New("content does not match its name")

// objects reads and writes the objects of a repository. It is made for one operation and thrown away, because go-git
// remembers which packs there were.
type objects struct {
	git   string
	store *filesystem.Storage // asked for packed objects and packed references
	// indexes says that those of the packs were looked at by checkIndexes.
	indexes bool
	// thorough makes put look into packs as well before it writes what may be there already. Reading the indexes of
	// packs costs more the longer the history is, so only repairs do it.
	thorough bool
	trees    map[plumbing.Hash][]object.TreeEntry // those read last
	pending  []looseObject
	writes   errgroup.Group // of the pending ones
}

// looseObject is one that is written and has not got its name yet.
type looseObject struct {
	hash      plumbing.Hash
	temporary string
}

func openObjects(git string) *objects {
	o := &objects{git: git, trees: map[plumbing.Hash][]object.TreeEntry{}}
	o.writes.SetLimit(runtime.GOMAXPROCS(0))
	o.reopen()
	return o
}

func (o *objects) reopen() {
	o.store, o.indexes = filesystem.NewStorage(wholePacks{osfs.New(o.git)}, cache.NewObjectLRU(8*cache.MiByte)), false
}

// get returns the content of an object. Its hash is computed, not believed. Whatever is wrong with the object itself is an
// *ObjectError; other errors say that it could not be read.
func (o *objects) get(kind plumbing.ObjectType, hash plumbing.Hash) ([]byte, error) {
	var b []byte
	err := o.again(func() (err error) {
		b, err = o.load(kind, hash)
		return err
	})
	if err == nil {
		return b, nil
	}
	var file *fs.PathError
	if errors.As(err, &file) && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("git %s %s: %w", kind, hash, err)
	}
	return nil, &ObjectError{hash.String(), kind.String(), err}
}

// again reads, and where something was not there, reads once more with the packs as they are now: another process may have packed the
// object a moment ago, or put the pack that held it together with others. go-git opens the pack of a large blob a second time, and
// gives the error of the file system where it is gone by then.
func (o *objects) again(read func() error) error {
	err := read()
	if errors.Is(err, plumbing.ErrObjectNotFound) || errors.Is(err, dotgit.ErrPackfileNotFound) || errors.Is(err, fs.ErrNotExist) {
		o.reopen()
		err = read()
	}
	return err
}

func (o *objects) loosePath(hash plumbing.Hash) string {
	name := hash.String()
	return filepath.Join(o.git, "objects", name[:2], name[2:])
}

func isDamage(err error) bool {
	var damaged *ObjectError
	return errors.As(err, &damaged)
}
