package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Finding is one disagreement between the git history and the files.
type Finding struct {
	Code    string `json:"code"`
	Commit  string `json:"commit"` // "" where it is about none
	Path    string `json:"path"`   // below runtime/; "" where it is about none
	Message string `json:"message"`
}

// Codes of findings.
const (
	GitMissing    = "GIT_MISSING"     // no repository, or no branch, though something was committed
	GitBranch     = "GIT_BRANCH"      // the branch is damaged, or was set back
	GitForeign    = "GIT_FOREIGN"     // the branch names a commit that was not made here
	GitObject     = "GIT_OBJECT"      // an object is missing or damaged
	GitNotLinear  = "GIT_NOT_LINEAR"  // a merge
	GitMessage    = "GIT_MESSAGE"     // a message that is not of the form that is written here
	GitSize       = "GIT_SIZE"        // a size trailer and the number of lines disagree
	GitUntracked  = "GIT_UNTRACKED"   // something that does not belong in this history
	GitRemoved    = "GIT_REMOVED"     // a file that the parent had is gone or shorter
	GitDiffers    = "GIT_DIFFERS"     // a segment as committed is not the beginning of the file
	GitIncomplete = "GIT_INCOMPLETE"  // a segment lacks lines though a later one is there
	GitNoFile     = "GIT_FILE_ABSENT" // a segment was committed and is not among the files
)

// Verify compares every commit, from HEAD back, with the files: each segment that a commit changed must be the beginning
// of the file, or all of it where a later segment exists, the sizes in the message must be those of the segments, and
// nothing may have been removed. It changes nothing, needs no lock, and costs one look at each object. Findings are about
// the content; the error is for what could not be looked at.
func (r *Repository) Verify(ctx context.Context) ([]Finding, error) {
	v := &verifier{r: r, o: openObjects(r.git), files: map[string][]byte{}, seen: map[string]bool{}}
	at, err := v.start()
	if err != nil || at.IsZero() {
		return v.findings, err
	}
	for !at.IsZero() {
		if err := ctx.Err(); err != nil {
			return v.findings, err
		}
		v.at = at.String()
		c, err := v.o.commit(at)
		if err != nil {
			// What lies before it cannot be known.
			return v.findings, v.judge("", err)
		}
		if len(c.ParentHashes) > 1 {
			v.find(GitNotLinear, "", "%d parents", len(c.ParentHashes))
		}
		if err := v.commit(c); err != nil {
			return v.findings, err
		}
		at = parent(c)
	}
	return v.findings, nil
}

type verifier struct {
	r        *Repository
	o        *objects
	findings []Finding
	at       string            // the commit that is looked at
	files    map[string][]byte // the files that were read last
	seen     map[string]bool   // what is among the findings already
}

// find adds a finding, once for each file and code: a segment that was edited differs in every commit that has it.
func (v *verifier) find(code, path, format string, args ...any) {
	if path != "" && v.seen[code+path] {
		return
	}
	v.seen[code+path] = true
	v.findings = append(v.findings, Finding{code, v.at, path, fmt.Sprintf(format, args...)})
}

// judge makes a finding of a damaged object and returns other errors.
func (v *verifier) judge(path string, err error) error {
	var object *ObjectError
	if !errors.As(err, &object) {
		return err
	}
	if !v.seen[object.Hash] {
		v.seen[object.Hash] = true
		v.findings = append(v.findings, Finding{GitObject, v.at, path, err.Error()})
	}
	return nil
}

// start returns the commit to begin with, and compares it with the record.
func (v *verifier) start() (plumbing.Hash, error) {
	// The branch before the record: a commit writes them in the other order.
	at, err := v.r.head()
	switch {
	case errors.Is(err, ErrNoRepository):
		v.find(GitMissing, "", "%v", err)
		return at, nil
	case errors.Is(err, errRefDamaged):
		v.find(GitBranch, "", "%v", err)
		return at, nil
	case err != nil:
		return at, err
	}
	rec, err := v.r.readRecord()
	var damaged *recordError
	switch {
	case errors.As(err, &damaged) || err == nil && len(rec) == 0:
		return at, nil // nothing to compare with
	case err != nil:
		return at, err
	}
	if _, known := rec.find(at); known || !at.IsZero() && at == parent(rec[0].commit) {
		// Between record and branch a commit is one ahead; more than that was set back. One that others moved meanwhile was not.
		if now, err := v.r.head(); at != rec.last() && at != parent(rec[len(rec)-1].commit) && err == nil && now == at {
			v.find(GitBranch, "", "%s: was set back to %s, %s was committed last; the next commit puts it right", branch, at, rec.last())
		}
		return at, nil
	}
	if at.IsZero() {
		v.find(GitMissing, "", "%s: missing, %s was committed last", branch, rec.last())
	} else {
		v.find(GitForeign, "", "%s: names %s, %s was committed last", branch, at, rec.last())
	}
	return at, nil
}

// commit checks one commit against the files and its first parent.
func (v *verifier) commit(c *object.Commit) error {
	base := plumbing.ZeroHash
	if p := parent(c); !p.IsZero() {
		pc, err := v.o.commit(p)
		if err != nil && !isDamage(err) {
			return err
		}
		if err == nil {
			base = pc.TreeHash
		}
	}
	highest := map[string]int64{}
	stated, ok := v.sizes(c)
	for _, dir := range []string{ledgerDir, documentsDir} {
		first, blob, err := v.o.highest(c.TreeHash, dir)
		switch {
		case isDamage(err):
			v.judge(dir, err)
			continue
		case errors.Is(err, errNotSegment):
			v.find(GitUntracked, dir, "%v", err)
			continue
		case err != nil:
			return err
		}
		highest[dir] = first
		if err := v.closed(base, c.TreeHash, dir, first); err != nil {
			return err
		}
		size := int64(0)
		if first != noSegment {
			b, err := v.o.get(plumbing.BlobObject, blob)
			if isDamage(err) {
				continue // found again below, with its path
			}
			if err != nil {
				return err
			}
			size = first + countLines(b)
		}
		if ok && stated[dir] != size {
			v.find(GitSize, dir, "the message says %d lines, the segments have %d", stated[dir], size)
		}
	}
	return v.o.diff(base, c.TreeHash, "", func(d change) error { return v.change(d, highest) }, v.judge)
}

// sizes reads the size trailers, by folder.
func (v *verifier) sizes(c *object.Commit) (map[string]int64, bool) {
	_, trailers, err := ParseMessage(c.Message)
	if err == nil {
		ledger, documents, sizeErr := sizes(trailers)
		if sizeErr == nil {
			return map[string]int64{ledgerDir: ledger, documentsDir: documents}, true
		}
		err = sizeErr
	}
	v.find(GitMessage, "", "%v", err)
	return nil, false
}

// closed checks that the segment which was the parent's highest is complete, if the commit has a later one.
func (v *verifier) closed(base, tree plumbing.Hash, dir string, highest int64) error {
	before, _, err := v.o.highest(base, dir)
	if err != nil || before == noSegment || before == highest {
		return nil // a damaged parent is found when its turn comes
	}
	path := segmentPath(dir, before)
	e, err := v.o.find(tree, path)
	if err != nil || e.Hash.IsZero() {
		return nil // found by diff
	}
	content, err := v.file(path)
	if err != nil || content == nil {
		return err
	}
	if size, err := v.o.size(e.Hash); err == nil && size < int64(len(content)) {
		v.find(GitIncomplete, path, "has %d bytes of %d, though %s is committed", size, len(content), segmentPath(dir, highest))
	}
	return nil
}

// change checks one file or folder that a commit changed.
func (v *verifier) change(d change, highest map[string]int64) error {
	if d.new.Hash.IsZero() {
		v.find(GitRemoved, d.path, "was there in the parent")
		return nil
	}
	dir, first, segment := parseSegment(d.path)
	switch {
	case d.new.Mode == filemode.Dir:
		return nil
	case d.new.Mode != filemode.Regular || !segment && d.path != checkpointPath:
		v.find(GitUntracked, d.path, "does not belong in this history")
		return nil
	}
	content, err := v.o.get(plumbing.BlobObject, d.new.Hash)
	if err != nil {
		return v.judge(d.path, err)
	}
	if !segment {
		return nil
	}
	if !d.old.Hash.IsZero() {
		if size, err := v.o.size(d.old.Hash); err == nil && size > int64(len(content)) {
			v.find(GitRemoved, d.path, "has %d bytes, the parent had %d", len(content), size)
		}
	}
	file, err := v.file(d.path)
	switch {
	case err != nil:
		return err
	case file == nil:
		v.find(GitNoFile, d.path, "was committed and is not there")
	case !bytes.HasPrefix(file, content):
		v.find(GitDiffers, d.path, "the %d bytes that were committed are not the beginning of the file, which has %d", len(content), len(file))
	case first < highest[dir] && len(content) < len(file):
		v.find(GitIncomplete, d.path, "has %d bytes of %d, though %s is committed", len(content), len(file), segmentPath(dir, highest[dir]))
	}
	return nil
}

// file returns a file below runtime/, nil where it is missing or no regular file. Commits in a row change the same few.
func (v *verifier) file(path string) ([]byte, error) {
	if b, ok := v.files[path]; ok {
		return b, nil
	}
	b, err := v.r.read(path, -1)
	var odd *SegmentError
	if errors.Is(err, fs.ErrNotExist) || errors.As(err, &odd) {
		b, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(v.files) >= 4 {
		clear(v.files)
	}
	v.files[path] = b
	return b, nil
}
