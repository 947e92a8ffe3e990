package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/objfile"
)

// load returns the content of an object after comparing it with its name. A loose object is preferred to a packed one,
// which go-git does only until it has read the first index: what a repair writes must be what is read.
func (o *objects) load(kind plumbing.ObjectType, hash plumbing.Hash) ([]byte, error) {
	found, b, err := o.loadLoose(hash)
	if errors.Is(err, fs.ErrNotExist) {
		found, b, err = o.loadPacked(hash)
	}
	if err != nil {
		return nil, err
	}
	if found != kind || plumbing.ComputeHash(kind, b) != hash {
		return nil, errContent
	}
	return b, nil
}

func (o *objects) loadLoose(hash plumbing.Hash) (kind plumbing.ObjectType, b []byte, err error) {
	err = o.openLoose(hash, func(found plumbing.ObjectType, _ int64, r io.Reader) error {
		kind = found
		b, err = io.ReadAll(r)
		return err
	})
	return kind, b, err
}

func (o *objects) openLoose(hash plumbing.Hash, f func(plumbing.ObjectType, int64, io.Reader) error) error {
	file, err := os.Open(o.loosePath(hash))
	if err != nil {
		return err
	}
	defer file.Close()
	r, err := objfile.NewReader(file)
	if err != nil {
		return err
	}
	defer r.Close()
	kind, size, err := r.Header()
	if err != nil {
		return err
	}
	return f(kind, size, r)
}

func (o *objects) loadPacked(hash plumbing.Hash) (plumbing.ObjectType, []byte, error) {
	if err := o.checkIndexes(); err != nil {
		return 0, nil, err
	}
	object, err := o.store.EncodedObject(plumbing.AnyObject, hash)
	if err != nil {
		return 0, nil, err
	}
	r, err := object.Reader()
	if err != nil {
		return 0, nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	return object.Type(), b, err
}

// size returns the length that a blob claims to have.
func (o *objects) size(hash plumbing.Hash) (size int64, err error) {
	err = o.again(func() error {
		err := o.openLoose(hash, func(_ plumbing.ObjectType, n int64, _ io.Reader) error {
			size = n
			return nil
		})
		if errors.Is(err, fs.ErrNotExist) {
			if err = o.checkIndexes(); err == nil {
				size, err = o.store.EncodedObjectSize(hash)
			}
		}
		return err
	})
	if err != nil {
		return 0, &ObjectError{hash.String(), plumbing.BlobObject.String(), err}
	}
	return size, nil
}

// checkIndexes compares the length of each pack's index with the number of objects it claims, because go-git takes memory
// for that number before it reads any: 85 GB for some damaged ones.
func (o *objects) checkIndexes() error {
	if o.indexes {
		return nil
	}
	paths, err := packFiles(o.git, "*.idx")
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := checkIndex(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	o.indexes = true
	return nil
}

// Version 2 of a pack index: magic and version (8 bytes), 256 running totals, then a name, a checksum and an offset for
// each object, and two hashes at the end. See gitformat-pack(5).
func checkIndex(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	var total [4]byte
	if _, err := f.ReadAt(total[:], 8+255*4); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if n := int64(binary.BigEndian.Uint32(total[:])); info.Size() < 8+256*4+n*(20+4+4)+2*20 {
		return fmt.Errorf("%s: %w", path, errIndex)
	}
	return nil
}

var errIndex = errors.New("pack index is damaged")

// wholePacks is a file system in which packs without an index cannot be seen. A git that is killed while it gives a pack its names, or
// removes one that was put together with others, leaves such a pack. Git passes over it, and go-git finds no object at all any more.
type wholePacks struct{ billy.Filesystem }

func (w wholePacks) ReadDir(path string) ([]os.FileInfo, error) {
	list, err := w.Filesystem.ReadDir(path)
	if err != nil || filepath.Base(path) != "pack" {
		return list, err
	}
	names := map[string]bool{}
	for _, f := range list {
		names[f.Name()] = true
	}
	return slices.DeleteFunc(list, func(f os.FileInfo) bool { return halfPack(f.Name(), names) }), nil
}

// halfPack reports whether a file of the folder of packs belongs to a pack that lacks its index or its objects.
func halfPack(name string, names map[string]bool) bool {
	stem := strings.TrimSuffix(name, filepath.Ext(name))
	return strings.HasPrefix(name, "pack-") && !(names[stem+".idx"] && names[stem+".pack"])
}
