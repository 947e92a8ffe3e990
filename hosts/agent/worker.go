package agent

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/sheratan/sheratan/hosts/roots"
	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/pipeline/kind"
)

// WorkerMain is the other end of Options.Worker: it executes file kinds, and compares answers with schemas, until in ends, also in the middle of one. A
// system call on a file system that does not answer cannot be interrupted, only left behind by a process that ends; this
// is why it is a process. out must be used for nothing else.
func WorkerMain(in io.Reader, out io.Writer) error {
	lines := json.NewDecoder(in)
	var h hello
	if err := lines.Decode(&h); err != nil {
		return fmt.Errorf("worker: hello: %w", err)
	}
	var r *roots.Roots // nil for one that only compares
	var paths []string
	if len(h.Roots.Roots) > 0 {
		var err error
		if r, err = roots.OpenSpec(h.Roots); err != nil {
			return fmt.Errorf("worker: %w", err)
		}
		defer r.Close()
		paths = r.Paths()
	}
	requests := make(chan request)
	broken := make(chan error, 1)
	go func() {
		denied := limitData(h.Data)
		switch {
		case denied != nil:
		case h.Restrict:
			denied = sandbox.RestrictSelf(paths, h.User) // and this goroutine keeps the thread
		default:
			denied = sandbox.GiveUp(h.User)
		}
		w := bufio.NewWriterSize(out, maxFrame)
		for req := range requests {
			if err := serve(r, denied, req, w); err != nil {
				broken <- err
				return
			}
		}
	}()
	for {
		var req request
		if err := lines.Decode(&req); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("worker: %w", err)
		}
		select {
		case requests <- req:
		case err := <-broken:
			return fmt.Errorf("worker: %w", err)
		}
	}
}

// serve answers one request, which is refused where the worker could not be restricted. The error is of w.
func serve(r *roots.Roots, denied error, req request, w *bufio.Writer) error {
	f := &frames{w: w, limit: req.Limit}
	done := frame{Done: true}
	var fail *failure
	if denied != nil {
		fail = unlessFault(denied, CodeSandbox, false)
	} else {
		fail = perform(r, req, f)
	}
	if fail != nil {
		done.Code, done.Error, done.Retryable = fail.code, fail.text, fail.retryable
	}
	done.Total = f.total
	if err := writeLine(w, done); err != nil {
		return err
	}
	return w.Flush()
}

func perform(r *roots.Roots, req request, out *frames) (fail *failure) {
	defer func() {
		if p := recover(); p != nil {
			fail = failed(CodePanic, false, "the worker failed: %v", p)
		}
	}()
	switch {
	case req.Fits != nil:
		return fits(*req.Fits)
	case r == nil:
		return failed(CodeRefused, false, "this worker has no roots")
	case req.Read != nil:
		return read(r, *req.Read, out)
	case req.List != nil:
		return list(r, *req.List, out)
	case req.Write != nil:
		return write(r, *req.Write)
	case req.Edit != nil:
		return change(r, req.Edit.Path, roots.Overwrite, req.Edit.Change)
	case req.Patch != nil:
		return patch(r, *req.Patch)
	}
	return failed(CodeRefused, false, "the worker was asked for nothing")
}

func read(r *roots.Roots, p kind.FileRead, out *frames) *failure {
	f, err := r.OpenFile(p.Path)
	if err != nil {
		return pathFailure(err)
	}
	defer f.Close()
	if p.MaxBytes > 0 {
		out.limit = min(out.limit, int64(p.MaxBytes))
	}
	// Not by its size: a file can grow while it is read.
	if _, err := io.Copy(out, io.LimitReader(f, out.limit)); err != nil {
		return failed(string(roots.IO), true, "%q: %v", p.Path, err)
	}
	if st, err := f.Stat(); err == nil {
		out.total = max(out.total, st.Size())
	}
	return nil
}

func list(r *roots.Roots, p kind.FileList, out *frames) *failure {
	names, more, err := r.List(p.Path, p.Recursive, kind.MaxEntries)
	if err != nil {
		return pathFailure(err)
	}
	for _, name := range names {
		out.Write(append([]byte(name), '\n'))
	}
	if more {
		fmt.Fprintf(out, "… more than %d entries\n", kind.MaxEntries)
	}
	return nil
}

func write(r *roots.Roots, p kind.FileWrite) *failure {
	modes := map[kind.Mode]roots.Mode{kind.ModeCreate: roots.Create, kind.ModeOverwrite: roots.Overwrite,
		kind.ModeAppend: roots.Append}
	mode, ok := modes[p.Mode]
	if !ok {
		return failed(CodeRefused, false, "mode %q is none of create, overwrite, append", p.Mode)
	}
	if err := r.WriteFile(p.Path, []byte(p.Content), mode); err != nil {
		return pathFailure(err)
	}
	return nil
}
