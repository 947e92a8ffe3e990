package workspace

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/durable"
)

// Limits of one .jsonl file that Put writes: what the intake takes in one batch.
const (
	putLines = 1000
	putBytes = 4 << 20
)

// NewFile is a proposal for the inbox.
type NewFile struct {
	Name      string // of the file, ending in .json; another one is found where it is taken
	Data      []byte
	Signature []byte // detached; nil is none
}

// Put brings proposals into the inbox under a source, and returns for each the file it went into. When it returns they
// survive a power loss; until then each file is there whole or not at all.
//
// One proposal becomes one file of its name. Several become .jsonl files of up to a thousand lines, which takes two syncs
// for a thousand proposals instead of two thousand; their names end in .ready.jsonl, by which the intake knows that they
// are complete. A signed one, and one with a line break in it, gets a file of its own, since its bytes are not ours to
// change.
func (w *Workspace) Put(source string, files []NewFile) ([]string, error) {
	if !job.ValidID(source) {
		return nil, fmt.Errorf("source %q: is not a valid identifier", source)
	}
	dir := w.InboxOf(source)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	paths := make([]string, len(files))
	var together []int
	for i, f := range files {
		if strings.ContainsRune(f.Name, '/') || !strings.HasSuffix(f.Name, ".json") || ignored(f.Name) {
			return nil, fmt.Errorf("%q: is not a name for a proposal", f.Name)
		}
		if len(files) > 1 && f.Signature == nil && len(bytes.TrimSpace(f.Data)) > 0 && !bytes.ContainsAny(f.Data, "\r\n") {
			together = append(together, i)
			continue
		}
		path, err := putFile(dir, strings.TrimSuffix(f.Name, ".json"), ".json", f.Data, f.Signature)
		if err != nil {
			return nil, err
		}
		paths[i] = path
	}
	for len(together) > 0 {
		n, data := joinLines(files, together)
		name := strings.TrimSuffix(files[together[0]].Name, ".json")
		path, err := putFile(dir, name, readySuffix, data, nil)
		if err != nil {
			return nil, err
		}
		for _, i := range together[:n] {
			paths[i] = path
		}
		together = together[n:]
	}
	// The folder itself may be new.
	return paths, errors.Join(durable.SyncDir(dir), durable.SyncDir(w.Inbox()))
}

// joinLines makes the text of one .jsonl file of the first n of the files which.
func joinLines(files []NewFile, which []int) (n int, data []byte) {
	for n < len(which) && n < putLines {
		doc := files[which[n]].Data
		if n > 0 && len(data)+len(doc) >= putBytes {
			break
		}
		data = append(append(data, doc...), '\n')
		n++
	}
	return n, data
}

// maxTaken is how often putFile looks for another name.
const maxTaken = 10_000

// putFile writes a file with its content on the disk, under name or a name with a number behind; the caller syncs the
// folder. The signature comes first, for whoever sees the proposal takes it.
func putFile(dir, name, suffix string, data, signature []byte) (string, error) {
	for i := 1; i <= maxTaken; i++ {
		path := dir + "/" + name + suffix
		if i > 1 {
			path = fmt.Sprintf("%s/%s-%d%s", dir, name, i, suffix)
		}
		if _, err := os.Lstat(path); err == nil {
			continue
		}
		if signature != nil {
			if err := putWhole(dir, path+signatureSuffix, signature); errors.Is(err, fs.ErrExist) {
				continue
			} else if err != nil {
				return "", err
			}
		}
		err := putWhole(dir, path, data)
		if err == nil {
			return path, nil
		}
		if signature != nil {
			err = errors.Join(err, os.Remove(path+signatureSuffix))
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", err
		}
	}
	return "", fmt.Errorf("%s/%s%s: %w, and so is every name with a number behind it", dir, name, suffix, fs.ErrExist)
}

func putWhole(dir, path string, data []byte) error {
	f, err := os.CreateTemp(dir, durable.TempPrefix+"*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = durable.RenameNoReplace(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
