package workspace

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/sheratan/sheratan/runtime/durable"
)

// maxPlaces bounds how many places a workspace remembers.
const maxPlaces = 20

// places is the file in which a workspace remembers where it lay, the newest last. Nothing is decided by it.
func (w *Workspace) places() string { return w.path("runtime", ".sheratan", "places.json") }

// Settle remembers that the workspace lies where it lies. It returns the place where it lay before, once, where that is another
// one: it was moved, copied, or is reached by another name.
func (w *Workspace) Settle() (before string, err error) {
	list, err := w.lay()
	if err != nil || slices.Contains(list, w.root) {
		return "", err
	}
	if len(list) > 0 {
		before = list[len(list)-1]
	}
	list = append(list, w.root)
	text, err := json.Marshal(list[max(0, len(list)-maxPlaces):])
	if err != nil {
		return "", err
	}
	return before, durable.ReplaceFile(w.places(), append(text, '\n'), 0o600)
}

// lay returns where the workspace lay. What cannot be understood is as good as nothing.
func (w *Workspace) lay() (list []string, err error) {
	text, err := os.ReadFile(w.places())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	_ = json.Unmarshal(text, &list)
	return list, nil
}

// Twin reports whether there is another workspace at a place, so that one is a copy of the other.
func (w *Workspace) Twin(place string) bool {
	there, err := os.Stat(At(place).Config())
	if err != nil {
		return false
	}
	here, err := os.Stat(w.Config())
	return err == nil && !os.SameFile(here, there)
}

// Another returns the workspace, other than this one, in which path lies or whose folder stands beside it in the same tree. It
// looks at path and its parents, and is "" where there is none.
func (w *Workspace) Another(path string) string {
	for dir := range upward(path) {
		for _, at := range []string{dir, filepath.Join(dir, "sheratan")} {
			if at != w.root && w.Twin(at) && !within(w.root, dir) {
				return at
			}
		}
	}
	return ""
}

// place says whether the workspace was moved or copied.
func (p *prober) place() {
	list, err := p.ws.lay()
	if err != nil {
		p.add("place", HealthWarn, "", "%v", err)
		return
	}
	for _, place := range list {
		if place != p.ws.root && p.ws.Twin(place) {
			p.add("place", HealthWarn, "use one of the two: what both do with the same inbox, roots and caches gets mixed up, and their ledgers go different ways",
				"this workspace lay in %s, where there is one still: one of the two is a copy", place)
			return
		}
	}
	if n := len(list); n > 1 && list[n-1] == p.ws.root {
		p.ok("place", "%s; before it lay in %s", p.ws.root, list[n-2])
		return
	}
	p.ok("place", "%s", p.ws.root)
}
