package agent

import (
	"errors"
	"io"
	"os"

	"github.com/sheratan/sheratan/hosts/roots"
	"github.com/sheratan/sheratan/pipeline/kind"
)

// maxChanged is the largest file, in bytes, that is edited or patched.
const maxChanged = 64 << 20

// patch applies a diff of one file exactly: every line of context must be where the diff says.
func patch(r *roots.Roots, p kind.FilePatch) *failure {
	d, err := kind.ParseDiff(p.Path, p.Diff)
	if err != nil {
		return failed(CodeRefused, false, "%q: %v", p.Path, err)
	}
	mode := roots.Overwrite
	if d.Creates {
		mode = roots.Create
	}
	return change(r, p.Path, mode, p.Change)
}

// change replaces a file by what to makes of it. The file changes in one step, or not at all.
func change(r *roots.Roots, path string, mode roots.Mode, to func(before []byte, exists bool) ([]byte, error)) *failure {
	_, err := r.Update(path, mode, func(old *os.File) ([]byte, error) {
		var before []byte
		if old != nil {
			var err error
			if before, err = io.ReadAll(io.LimitReader(old, maxChanged+1)); err != nil {
				return nil, failed(string(roots.IO), true, "%q: %v", path, err)
			}
			if len(before) > maxChanged {
				return nil, failed(CodeTooLarge, false, "%q: is larger than %d bytes", path, maxChanged)
			}
		}
		after, err := to(before, old != nil)
		if c, ok := errors.AsType[*kind.ChangeError](err); ok && c.Missing {
			return nil, failed(string(roots.NotFound), true, "%q: %v", path, err)
		}
		if err != nil {
			return nil, failed(CodeConflict, false, "%q: %v", path, err)
		}
		return after, nil
	})
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if err != nil {
		return pathFailure(err)
	}
	return nil
}
