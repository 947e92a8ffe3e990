package roots

import (
	"fmt"
	"os"
	"path"
	"strings"
)

// OpenPlain opens a regular file for reading, like OpenFile, but follows no symbolic link below the root: the file lies where
// its name says. The error is a *PathError.
func (r *Roots) OpenPlain(path string) (*os.File, error) {
	w := walk{plain: true}
	defer w.close()
	names, dir, err := r.start(&w, path)
	var f *os.File
	if err == nil {
		f, err = w.openFile(names, dir)
	}
	if err != nil {
		err.Path = path
		return nil, err
	}
	return f, nil
}

// Glob calls each with the names that match a pattern below the directory dir, relative to it, sorted folder by folder. *, ?
// and [a-z] match within a component, as path.Match says. Folders are passed through and not named, links are named and not
// followed, what may not be opened, like .git, matches nothing, and a last component without a wildcard is not looked
// for. The error is that of each, which ends it, or a *PathError; a folder that does not exist is none.
func (r *Roots) Glob(dir, pattern string, each func(name string) error) error {
	g := glob{roots: r, dir: dir, each: each}
	return g.match("", strings.Split(path.Clean(pattern), "/"))
}

// glob is a walk along a pattern.
type glob struct {
	roots   *Roots
	dir     string
	each    func(name string) error
	folders int // that were read
}

// What is read for one pattern at most. There is no telling what matches beyond it, so that more is an error.
const (
	globEntries = 100_000 // names of one folder
	globFolders = 100_000
)

// match holds the names below prefix against the rest of the pattern.
func (g *glob) match(prefix string, parts []string) error {
	part, last := parts[0], len(parts) == 1
	if !strings.ContainsAny(part, "*?[") {
		return g.step(prefix+part, parts)
	}
	list, more, err := g.roots.List(join(g.dir, prefix), false, globEntries)
	if p, ok := err.(*PathError); ok && (p.Code == NotFound || p.Code == NotADirectory) {
		return nil
	}
	if g.folders++; err == nil && g.folders > globFolders {
		err = &PathError{Code: TooMany, Path: strings.Join(parts, "/"), Message: fmt.Sprintf("matches in more than %d folders", globFolders)}
	}
	if err == nil && more {
		err = &PathError{Code: TooMany, Path: prefix, Message: fmt.Sprintf("the folder %s has more than %d names", join(g.dir, prefix), globEntries)}
	}
	for _, name := range list {
		if err != nil {
			break
		}
		plain, folder := strings.CutSuffix(name, "/")
		if ok, _ := path.Match(part, plain); ok && folder != last {
			err = g.step(prefix+plain, parts)
		}
	}
	return err
}

// step goes from a name that matches the first of the parts to the others.
func (g *glob) step(name string, parts []string) error {
	if len(parts) == 1 {
		return g.each(name)
	}
	return g.match(name+"/", parts[1:])
}
