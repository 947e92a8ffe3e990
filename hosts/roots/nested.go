package roots

import (
	"os"
	"path/filepath"
	"strings"
)

// Object is what makes a folder the same one, whatever lies at its path later.
type Object struct{ Dev, Ino uint64 }

// Objects returns the roots as they are open now, by their resolved paths. One that was replaced is opened anew, under all
// the checks of the first time. The error is a *PathError.
func (r *Roots) Objects() (map[string]Object, error) {
	list := make(map[string]Object, len(r.roots))
	for _, root := range r.roots {
		h, err := r.enter(root)
		if err != nil {
			return nil, err
		}
		list[root.path] = Object{h.dev, h.ino}
	}
	return list, nil
}

// Decides reports whether what lies in dir decides where path leads: somewhere on the way, links that are followed
// included, there is something in dir, so that whoever writes there can lead the way elsewhere. Both are absolute and clean.
// A path that leads to dir itself is no such path.
func Decides(dir, path string) bool {
	for _, step := range way(path) {
		if step != dir && within(dir, step) {
			return true
		}
	}
	return false
}

// way lists everything that is looked up on the way along a clean absolute path, in order: names as they are written and
// where links lead, as far as it exists, at most 40 links.
func way(path string) (steps []string) {
	names := strings.Split(strings.Trim(path, "/"), "/")
	at := "/"
	for links := 0; len(names) > 0; {
		name := names[0]
		names = names[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, name)
		steps = append(steps, next)
		link, err := os.Readlink(next)
		if err != nil || links == 40 {
			at = next
			continue
		}
		links++
		if filepath.IsAbs(link) {
			at = "/"
		}
		names = append(strings.Split(strings.Trim(link, "/"), "/"), names...)
	}
	return steps
}
