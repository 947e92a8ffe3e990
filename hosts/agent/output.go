package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/pipeline/job"
)

// headBytes is more than textBytes, so that a credential across that boundary is whole when it is looked for.
const headBytes = textBytes + 1<<10

// captures makes sure that what an attempt writes can be kept: that there is a folder for it, and room, and as many files as
// it takes. The error is the machine's, and nothing has to begin for it. Give the spares back in the end.
func (a *Agent) captures(j job.Job, attempt int, limit int64) (stdout, stderr *sandbox.Capture, err error) {
	outPath, errPath := a.opt.Output(j.ID, attempt)
	if err := roomFor(filepath.Dir(outPath)); err != nil {
		return nil, nil, err
	}
	stdout = &sandbox.Capture{Path: outPath, Limit: limit, HeadLimit: headBytes}
	stderr = &sandbox.Capture{Path: errPath, Limit: limit, HeadLimit: headBytes}
	if h := hidingOf(j); h != nil {
		for _, c := range []*sandbox.Capture{stdout, stderr} {
			c.Limit, c.Clean = min(limit, hiddenBytes), h.kept
		}
	}
	return stdout, stderr, a.spares.take(filepath.Dir(outPath), stdout, stderr)
}

// spares are files for outputs, made before anybody knows whether there is something to write, and without a name until
// then. Most jobs write nothing, or on one stream, so that a file is made about as often as one is used.
type spares struct {
	mu   sync.Mutex
	idle []*os.File
	held map[*sandbox.Capture]*os.File
	none bool // the file system has no files without a name; those for outputs are made when they are written
}

// take gives a file to each of the captures.
func (s *spares) take(dir string, captures ...*sandbox.Capture) error {
	for i, c := range captures {
		f, err := s.open(dir)
		if err != nil {
			s.give(captures[:i]...)
			return err
		}
		if f == nil {
			return nil
		}
		s.mu.Lock()
		if s.held == nil {
			s.held = map[*sandbox.Capture]*os.File{}
		}
		s.held[c] = f
		s.mu.Unlock()
		c.Ready = func(path string) (*os.File, error) {
			if err := nameFile(f, path); err != nil {
				return nil, err
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.held, c)
			return f, nil
		}
	}
	return nil
}

// open returns a file without a name, nil where there are none.
func (s *spares) open(dir string) (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.idle); n > 0 {
		f := s.idle[n-1]
		s.idle = s.idle[:n-1]
		return f, nil
	}
	if s.none {
		return nil, nil
	}
	f, err := unnamedFile(dir)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) {
		s.none = true
		return nil, nil
	}
	return f, err
}

// give takes back what the captures did not use.
func (s *spares) give(captures ...*sandbox.Capture) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range captures {
		if f := s.held[c]; f != nil {
			delete(s.held, c)
			s.idle = append(s.idle, f)
		}
	}
}

func (s *spares) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.idle {
		f.Close()
	}
	s.idle = nil
}

// store puts the outputs into the result. Where they could not be stored, a success is none.
func (a *Agent) store(res *job.Result, stdout, stderr *sandbox.Capture, fail *failure) *failure {
	for _, s := range []struct {
		out     *job.Output
		capture *sandbox.Capture
	}{{&res.Stdout, stdout}, {&res.Stderr, stderr}} {
		if err := s.capture.Close(false); err != nil && fail == nil {
			fail = failed(CodeOutput, true, "storing the output: %v", err)
		}
		if s.capture.Bytes == 0 {
			continue
		}
		s.out.Text = a.text(s.capture)
		s.out.Bytes = s.capture.Bytes
		s.out.SHA256 = s.capture.SHA256()
		s.out.Truncated = s.capture.Truncated()
		if s.capture.Kept > 0 {
			s.out.Kept = s.capture.Kept
			if rel, err := filepath.Rel(a.opt.Workspace, s.capture.Path); err == nil {
				s.out.Path = filepath.ToSlash(rel)
			}
		}
	}
	return fail
}

// text is the beginning of an output for people: valid UTF-8, credentials taken out, cut between characters.
func (a *Agent) text(c *sandbox.Capture) string {
	head := c.Head
	if int64(len(head)) < c.Kept {
		// The last character may be cut in two, which does not make it invalid.
		for i := 0; i < utf8.UTFMax-1 && len(head) > 0 && !utf8.Valid(head[max(0, len(head)-utf8.UTFMax):]); i++ {
			head = head[:len(head)-1]
		}
	}
	s := a.opt.Redact(strings.ToValidUTF8(string(head), "\uFFFD"))
	if len(s) <= textBytes {
		return s
	}
	end := textBytes
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// Sync puts the output files and artifacts of results, whose paths are relative to the workspace, and their names, on disk. It belongs before the events that name them, once
// for a batch: the first file pays for the file system's journal, the others find it written.
func Sync(workspace string, results []job.Result) error {
	var folders []string
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	for i := range results {
		for _, out := range results[i].Files() {
			f, err := os.Open(filepath.Join(workspace, filepath.FromSlash(out.Path)))
			if err != nil {
				return fmt.Errorf("output of job %s: %w", results[i].JobID, err)
			}
			files = append(files, f)
			startWriteback(f)
			if dir := filepath.Dir(f.Name()); len(folders) == 0 || folders[len(folders)-1] != dir {
				folders = append(folders, dir)
			}
			if len(files) >= 256 {
				if err := syncAll(files); err != nil {
					return err
				}
				files = files[:0]
			}
		}
	}
	if err := syncAll(files); err != nil {
		return err
	}
	files = nil
	return syncFolders(workspace, folders)
}

func syncAll(files []*os.File) error {
	for _, f := range files {
		if err := datasync(f); err != nil {
			return fmt.Errorf("%s: %w", f.Name(), err)
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

// syncFolders syncs each folder and those above it up to the workspace, which may be as new.
func syncFolders(workspace string, folders []string) error {
	done := map[string]bool{}
	for _, dir := range folders {
		for ; !done[dir] && len(dir) >= len(workspace); dir = filepath.Dir(dir) {
			done[dir] = true
			f, err := os.Open(dir)
			if err != nil {
				return err
			}
			err = f.Sync()
			f.Close()
			if err != nil && !errors.Is(err, unix.EINVAL) {
				return err
			}
		}
	}
	return nil
}
