package history

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// file is one tracked file of a commit.
type file struct {
	path string // below the tree it is put into
	blob plumbing.Hash
}

// tree returns the entries of a tree, none for the zero hash. They are the caller's to read only.
func (o *objects) tree(hash plumbing.Hash) ([]object.TreeEntry, error) {
	if hash.IsZero() {
		return nil, nil
	}
	if entries, ok := o.trees[hash]; ok {
		return entries, nil
	}
	entries, err := o.readTree(hash)
	if err != nil {
		return nil, err
	}
	if len(o.trees) >= maxTrees {
		clear(o.trees)
	}
	o.trees[hash] = entries
	return entries, nil
}

// maxTrees bounds the trees that are remembered. A commit and its parent have about sixteen between them.
const maxTrees = 32

func (o *objects) readTree(hash plumbing.Hash) ([]object.TreeEntry, error) {
	b, err := o.get(plumbing.TreeObject, hash)
	if err != nil {
		return nil, err
	}
	var entries []object.TreeEntry
	for len(b) > 0 {
		mode, rest, ok := bytes.Cut(b, []byte{' '})
		name, rest, ok2 := bytes.Cut(rest, []byte{0})
		if !ok || !ok2 || len(rest) < len(plumbing.ZeroHash) {
			return nil, &ObjectError{hash.String(), "tree", errContent}
		}
		m, err := filemode.New(string(mode))
		if err != nil {
			return nil, &ObjectError{hash.String(), "tree", err}
		}
		e := object.TreeEntry{Name: string(name), Mode: m}
		copy(e.Hash[:], rest)
		entries = append(entries, e)
		b = rest[len(e.Hash):]
	}
	return entries, nil
}

// graft puts files, sorted by path, into the tree base, which may be the zero hash, and returns the tree with them. What
// base has and files does not name stays as it is, unread.
func (o *objects) graft(base plumbing.Hash, files []file) (plumbing.Hash, error) {
	entries, err := o.tree(base)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	entries = slices.Clone(entries)
	for len(files) > 0 {
		name, rest, nested := strings.Cut(files[0].path, "/")
		at := slices.IndexFunc(entries, func(e object.TreeEntry) bool { return e.Name == name })
		if at < 0 {
			at = len(entries)
			entries = append(entries, object.TreeEntry{Name: name})
		}
		e := &entries[at]
		if !nested {
			e.Mode, e.Hash = filemode.Regular, files[0].blob
			files = files[1:]
			continue
		}
		if e.Mode != filemode.Dir {
			e.Mode, e.Hash = filemode.Dir, plumbing.ZeroHash
		}
		inner := []file{{rest, files[0].blob}}
		for files = files[1:]; len(files) > 0; files = files[1:] {
			below, ok := strings.CutPrefix(files[0].path, name+"/")
			if !ok {
				break
			}
			inner = append(inner, file{below, files[0].blob})
		}
		if e.Hash, err = o.graft(e.Hash, inner); err != nil {
			return plumbing.ZeroHash, err
		}
	}
	return o.put(plumbing.TreeObject, printTree(entries))
}

func printTree(entries []object.TreeEntry) []byte {
	// git orders a folder as if its name ended in a slash.
	key := func(e object.TreeEntry) string {
		if e.Mode == filemode.Dir {
			return e.Name + "/"
		}
		return e.Name
	}
	slices.SortFunc(entries, func(a, b object.TreeEntry) int { return strings.Compare(key(a), key(b)) })
	var b bytes.Buffer
	for _, e := range entries {
		fmt.Fprintf(&b, "%o %s\x00", uint32(e.Mode), e.Name)
		b.Write(e.Hash[:])
	}
	return b.Bytes()
}

// find returns the entry at path, with a zero hash where there is none.
func (o *objects) find(tree plumbing.Hash, path string) (object.TreeEntry, error) {
	for {
		name, rest, nested := strings.Cut(path, "/")
		entries, err := o.tree(tree)
		if err != nil {
			return object.TreeEntry{}, err
		}
		at := slices.IndexFunc(entries, func(e object.TreeEntry) bool { return e.Name == name })
		if at < 0 || nested && entries[at].Mode != filemode.Dir {
			return object.TreeEntry{}, nil
		}
		if !nested {
			return entries[at], nil
		}
		tree, path = entries[at].Hash, rest
	}
}

var errNotSegment = errors.New("not a segment")

// highest returns the last segment of a tree in dir: the number of its first line, noSegment where there is none.
func (o *objects) highest(tree plumbing.Hash, dir string) (first int64, blob plumbing.Hash, err error) {
	e, err := o.find(tree, dir)
	if err != nil || e.Mode != filemode.Dir {
		return noSegment, plumbing.ZeroHash, err
	}
	where := dir
	for e.Mode == filemode.Dir {
		entries, err := o.tree(e.Hash)
		if err != nil || len(entries) == 0 {
			return noSegment, plumbing.ZeroHash, err
		}
		e = entries[len(entries)-1]
		where = path.Join(where, e.Name)
	}
	if _, first, ok := parseSegment(where); ok {
		return first, e.Hash, nil
	}
	return noSegment, plumbing.ZeroHash, fmt.Errorf("git tree %s: %s: %w", tree, where, errNotSegment)
}

// change is a difference between two trees.
type change struct {
	path     string
	old, new object.TreeEntry // with a zero hash where there is none
}

// diff calls visit for each file and folder that differs between the trees old and new, folders before what is in them.
// Subtrees with the same hash are not read. A tree that cannot be read is given to damaged, with its path; an old one is
// then taken for empty, so that all of new is visited, and a new one is not entered.
func (o *objects) diff(old, new plumbing.Hash, dir string, visit func(change) error, damaged func(path string, err error) error) error {
	before, err := o.tree(old)
	if err != nil {
		before = nil
		if !isDamage(err) {
			return err
		}
	}
	after, err := o.tree(new)
	if err != nil {
		if !isDamage(err) {
			return err
		}
		return damaged(dir, err)
	}
	names := map[string]object.TreeEntry{}
	for _, e := range before {
		names[e.Name] = e
	}
	for _, e := range after {
		was := names[e.Name]
		delete(names, e.Name)
		if was.Hash == e.Hash && was.Mode == e.Mode {
			continue
		}
		where := path.Join(dir, e.Name)
		if err := visit(change{where, was, e}); err != nil {
			return err
		}
		if e.Mode == filemode.Dir {
			inner := plumbing.ZeroHash
			if was.Mode == filemode.Dir {
				inner = was.Hash
			}
			if err := o.diff(inner, e.Hash, where, visit, damaged); err != nil {
				return err
			}
		}
	}
	for _, e := range before {
		if _, gone := names[e.Name]; gone {
			if err := visit(change{path.Join(dir, e.Name), e, object.TreeEntry{}}); err != nil {
				return err
			}
		}
	}
	return nil
}
