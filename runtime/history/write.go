package history

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/sheratan/sheratan/runtime/durable"
)

// put adds an object, which others see after flush. One that is there already and good is left alone; one that is there
// and damaged, as an unfinished commit and a power loss leave it, is replaced.
func (o *objects) put(kind plumbing.ObjectType, content []byte) (plumbing.Hash, error) {
	hash := plumbing.ComputeHash(kind, content)
	_, err := os.Lstat(o.loosePath(hash))
	if err == nil || o.thorough {
		if _, err := o.get(kind, hash); err == nil {
			return hash, nil
		} else if !isDamage(err) {
			return hash, err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return hash, err
	}
	f, err := os.CreateTemp(filepath.Join(o.git, "objects"), "tmp_obj_")
	if err != nil {
		return hash, err
	}
	o.pending = append(o.pending, looseObject{hash, f.Name()})
	if err := errors.Join(o.write(f, kind, content), f.Close()); err != nil {
		return hash, fmt.Errorf("write %s: %w", f.Name(), err)
	}
	return hash, nil
}

// write prints a loose object: the zlib stream of "TYPE SIZE\0CONTENT".
func (o *objects) write(f *os.File, kind plumbing.ObjectType, content []byte) error {
	var b bytes.Buffer
	b.Grow(len(content)/4 + 64)
	if o.deflate == nil {
		o.deflate, _ = zlib.NewWriterLevel(&b, zlib.BestSpeed) // fails only for a level that does not exist
	} else {
		o.deflate.Reset(&b)
	}
	header := append(kind.Bytes(), ' ')
	header = strconv.AppendInt(header, int64(len(content)), 10)
	for _, part := range [][]byte{append(header, 0), content} {
		if _, err := o.deflate.Write(part); err != nil {
			return err
		}
	}
	if err := o.deflate.Close(); err != nil {
		return err
	}
	if _, err := f.Write(b.Bytes()); err != nil {
		return err
	}
	return f.Chmod(0o444)
}

// flush gives the objects of put their names. They are not synced; see record.
func (o *objects) flush() error {
	for _, object := range o.pending {
		path := o.loosePath(object.hash)
		err := os.Rename(object.temporary, path)
		if errors.Is(err, fs.ErrNotExist) {
			if err = os.Mkdir(filepath.Dir(path), 0o755); err == nil || errors.Is(err, fs.ErrExist) {
				err = os.Rename(object.temporary, path)
			}
		}
		if err != nil {
			return err
		}
	}
	o.pending = nil
	return nil
}

// discard removes what was put and not flushed.
func (o *objects) discard() {
	for _, object := range o.pending {
		os.Remove(object.temporary)
	}
	o.pending = nil
}

// remove deletes the loose file of a damaged object, and leaves a good one.
func (o *objects) remove(kind plumbing.ObjectType, hash plumbing.Hash) error {
	if _, err := openObjects(o.git).get(kind, hash); !isDamage(err) {
		return err
	}
	path := o.loosePath(hash)
	if err := os.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}
