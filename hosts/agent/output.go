package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/pipeline/job"
)

// headBytes is more than textBytes, so that a credential across that boundary is whole when it is looked for.
const headBytes = textBytes + 1<<10

func (a *Agent) captures(id string, attempt int, limit int64) (stdout, stderr *sandbox.Capture) {
	outPath, errPath := a.opt.Output(id, attempt)
	return &sandbox.Capture{Path: outPath, Limit: limit, HeadLimit: headBytes},
		&sandbox.Capture{Path: errPath, Limit: limit, HeadLimit: headBytes}
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

// Sync puts the output files and artifacts of results, and their names, on disk. It belongs before the events that name them, once
// for a batch: the first file pays for the file system's journal, the others find it written.
func (a *Agent) Sync(results []job.Result) error {
	var folders []string
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	for i := range results {
		for _, out := range results[i].Files() {
			f, err := os.Open(filepath.Join(a.opt.Workspace, filepath.FromSlash(out.Path)))
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
	return a.syncFolders(folders)
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
func (a *Agent) syncFolders(folders []string) error {
	done := map[string]bool{}
	for _, dir := range folders {
		for ; !done[dir] && len(dir) >= len(a.opt.Workspace); dir = filepath.Dir(dir) {
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
