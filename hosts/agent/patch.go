package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"

	"github.com/sheratan/sheratan/hosts/roots"
	"github.com/sheratan/sheratan/pipeline/kind"
)

// maxPatched is the largest file, in bytes, that is patched.
const maxPatched = 64 << 20

// patch applies a diff of one file exactly: every line of context must be where the diff says. The file changes in one
// step, or not at all.
func patch(r *roots.Roots, p kind.FilePatch) *failure {
	d, fail := parseDiff(p)
	if fail != nil {
		return fail
	}
	mode := roots.Overwrite
	if d.IsNew {
		mode = roots.Create
	}
	_, err := r.Update(p.Path, mode, func(old *os.File) ([]byte, error) { return apply(p.Path, d, old) })
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if err != nil {
		return pathFailure(err)
	}
	return nil
}

func apply(name string, d *gitdiff.File, old *os.File) ([]byte, error) {
	var before []byte
	if old == nil && !d.IsNew {
		return nil, failed(string(roots.NotFound), true, "%q: does not exist, and the diff does not create it", name)
	}
	if old != nil {
		var err error
		if before, err = io.ReadAll(io.LimitReader(old, maxPatched+1)); err != nil {
			return nil, failed(string(roots.IO), true, "%q: %v", name, err)
		}
		if len(before) > maxPatched {
			return nil, failed(CodeTooLarge, false, "%q: is larger than %d bytes", name, maxPatched)
		}
	}
	var after bytes.Buffer
	if err := gitdiff.Apply(&after, bytes.NewReader(before), d); err != nil {
		return nil, failed(CodeConflict, false, "%q: the diff does not apply: %s", name, oneLine(err))
	}
	return after.Bytes(), nil
}

// parseDiff accepts exactly one text diff of the file that the job names.
func parseDiff(p kind.FilePatch) (*gitdiff.File, *failure) {
	text := p.Diff
	if strings.HasPrefix(text, "@@ ") {
		// Only hunks, as a model writes them that was told the path elsewhere.
		name := strings.TrimPrefix(path.Clean(p.Path), "/")
		text = fmt.Sprintf("--- %s\n+++ %s\n%s", name, name, text)
	}
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	files, preamble, err := gitdiff.Parse(strings.NewReader(text))
	refuse := func(format string, args ...any) (*gitdiff.File, *failure) {
		return nil, failed(CodeRefused, false, "%q: %s", p.Path, fmt.Sprintf(format, args...))
	}
	switch {
	case err != nil:
		return refuse("the diff cannot be read: %s", oneLine(err))
	case len(files) != 1:
		return refuse("the diff changes %d files; it must change exactly this one", len(files))
	case strings.TrimSpace(preamble) != "":
		return refuse("there is text before the diff")
	}
	d := files[0]
	switch {
	case d.IsBinary:
		return refuse("the diff is binary")
	case d.IsRename, d.IsCopy:
		return refuse("the diff renames or copies")
	case d.IsDelete:
		return refuse("the diff deletes the file")
	case d.OldMode != d.NewMode && d.OldMode != 0 && d.NewMode != 0, d.IsNew && d.NewMode != 0 && d.NewMode != 0o100644:
		return refuse("the diff sets the mode of the file")
	case len(d.TextFragments) == 0:
		return refuse("the diff changes nothing")
	}
	for _, name := range []string{d.OldName, d.NewName} {
		if name != "" && !names(name, p.Path) {
			return refuse("the diff is for %q", name)
		}
	}
	return d, nil
}

// names reports whether the name in a diff is that of the path. The parser takes the prefix a/ or b/ off only where
// there is a line of git above, and without one keeps either name for both; an absolute path may be shortened.
func names(name, p string) bool {
	p = path.Clean(p)
	for _, prefix := range []string{"", "a/", "b/"} {
		n, ok := strings.CutPrefix(name, prefix)
		if n = path.Clean(n); ok && (n == p || path.IsAbs(p) && strings.HasSuffix(p, "/"+strings.TrimPrefix(n, "/"))) {
			return true
		}
	}
	return false
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", " ") }
