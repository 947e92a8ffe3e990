package roots

import (
	"os"
	"path"
	"slices"
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

// Glob returns the names that match a pattern below the directory dir, relative to it and sorted. *, ? and [a-z] match within
// a component, as path.Match says. Folders are passed through and not returned, links are returned and not followed, and
// what may not be opened, like .git, matches nothing. At most limit names are returned; more reports that there are
// others. The error is a *PathError; a folder that does not exist is none.
func (r *Roots) Glob(dir, pattern string, limit int) (names []string, more bool, err error) {
	found := []string{""}
	parts := strings.Split(path.Clean(pattern), "/")
	for i, part := range parts {
		last := i == len(parts)-1
		var next []string
		for _, prefix := range found {
			if !strings.ContainsAny(part, "*?[") {
				next = append(next, prefix+part+slashUnless(last))
				continue
			}
			list, cut, err := r.List(join(dir, prefix), false, globEntries)
			if p, ok := err.(*PathError); ok && (p.Code == NotFound || p.Code == NotADirectory) {
				continue
			}
			if err != nil {
				return nil, false, err
			}
			more = more || cut
			for _, name := range list {
				plain, folder := strings.CutSuffix(name, "/")
				if ok, _ := path.Match(part, plain); ok && folder != last {
					next = append(next, prefix+plain+slashUnless(last))
				}
			}
			if len(next) > limit {
				break
			}
		}
		found = next
	}
	if len(found) > limit {
		found, more = found[:limit], true
	}
	slices.Sort(found)
	return found, more, nil
}

// globEntries is how many names of one folder a pattern is held against.
const globEntries = 100_000

func slashUnless(last bool) string {
	if last {
		return ""
	}
	return "/"
}
