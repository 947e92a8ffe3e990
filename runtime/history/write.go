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
	"sync"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/sheratan/sheratan/runtime/durable"
)

// tempObject begins the names of objects that are being written. git prune knows such files by the first half of it.
const tempObject = "tmp_obj_sheratan_"

// put adds an object, which others see after flush. One that is there already and good is left alone; one that is there
// and damaged, as an unfinished commit and a power loss leave it, is replaced. It is compressed and written while the
// caller goes on, which must leave content alone; flush says what failed.
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
	f, err := os.CreateTemp(filepath.Join(o.git, "objects"), tempObject)
	if err != nil {
		return hash, err
	}
	o.pending = append(o.pending, looseObject{hash, f.Name()})
	o.writes.Go(func() error {
		if err := errors.Join(writeLoose(f, kind, content), f.Close()); err != nil {
			return fmt.Errorf("write %s: %w", f.Name(), err)
		}
		return nil
	})
	return hash, nil
}

// deflaters are kept because making one takes 600 KB and a tenth of a commit's time.
var deflaters = sync.Pool{New: func() any {
	w, _ := zlib.NewWriterLevel(nil, zlib.BestSpeed) // fails only for a level that does not exist
	return w
}}

// writeLoose prints a loose object: the zlib stream of "TYPE SIZE\0CONTENT".
func writeLoose(f *os.File, kind plumbing.ObjectType, content []byte) error {
	var b bytes.Buffer
	b.Grow(len(content)/4 + 64)
	deflate := deflaters.Get().(*zlib.Writer)
	defer deflaters.Put(deflate)
	deflate.Reset(&b)
	header := append(kind.Bytes(), ' ')
	header = strconv.AppendInt(header, int64(len(content)), 10)
	for _, part := range [][]byte{append(header, 0), content} {
		if _, err := deflate.Write(part); err != nil {
			return err
		}
	}
	if err := deflate.Close(); err != nil {
		return err
	}
	if _, err := f.Write(b.Bytes()); err != nil {
		return err
	}
	return f.Chmod(0o444)
}

// flush gives the objects of put their names. They are not synced; see record.
func (o *objects) flush() error {
	if err := o.writes.Wait(); err != nil {
		return err
	}
	for _, object := range o.pending {
		path := o.loosePath(object.hash)
		err := os.Rename(object.temporary, path)
		for try := 0; try < 3 && errors.Is(err, fs.ErrNotExist); try++ { // git that packs removes folders that it has emptied
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
	o.writes.Wait() // what went wrong is of no interest any more
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
