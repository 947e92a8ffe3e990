package history

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// damage is what a survey found.
type damage struct {
	commits  []damagedCommit // newest first
	objects  []damagedObject
	hopeless error // why nothing can be made again, where that is certain
}

type damagedCommit struct {
	recorded
	first error // one of the things that are wrong with it
}

type damagedObject struct {
	kind plumbing.ObjectType
	hash plumbing.Hash
}

// The number of good commits in a row with which a survey ends.
const (
	lastCommits  = 2
	wholeHistory = math.MaxInt
)

// surveyed is with how many good commits a survey may end. A process that is killed leaves no damage, a power loss does, and
// in no particular order: where there is a sign of one, all commits are checked that may not have been on the disk.
func (rec record) surveyed(suspect bool) int {
	boot := bootID()
	if suspect || len(rec) > 0 && (boot == "" || rec[len(rec)-1].Boot != boot) {
		return max(lastCommits, len(rec))
	}
	return lastCommits
}

// survey checks by content what each commit added to its parent, from target back until enough in a row are good, and of
// target also the folders and segments that the next commit will read.
func (r *Repository) survey(ctx context.Context, target plumbing.Hash, rec record, enough int) (damage, error) {
	var found damage
	o := openObjects(r.git)
	for good, at := 0, target; good < enough && !at.IsZero(); {
		if err := ctx.Err(); err != nil {
			return found, err
		}
		e, err := o.recorded(at, rec)
		var bad []error
		switch {
		case err == nil:
		case !isDamage(err):
			return found, err
		case e.commit == nil:
			found.hopeless = err
			return found, nil
		default:
			bad = append(bad, err)
		}
		base := plumbing.ZeroHash
		if p := parent(e.commit); !p.IsZero() {
			pe, err := o.recorded(p, rec)
			if err != nil && !isDamage(err) {
				return found, err
			}
			if pe.commit != nil {
				base = pe.commit.TreeHash
			}
		}
		more, err := o.checkAdded(base, e.commit.TreeHash, at == target)
		if err != nil {
			return found, err
		}
		if bad = append(bad, more...); len(bad) == 0 {
			good++
		} else {
			good = 0
			found.commits = append(found.commits, damagedCommit{e, bad[0]})
			for _, err := range bad {
				var object *ObjectError
				errors.As(err, &object)
				kind, _ := plumbing.ParseObjectType(object.Type) // printed from one
				found.objects = append(found.objects, damagedObject{kind, plumbing.NewHash(object.Hash)})
			}
		}
		at = parent(e.commit)
	}
	return found, nil
}

// recorded returns a commit with what is needed to make it again. Where its object is damaged, the error says so and the
// commit is the one of the record, if it is there.
func (o *objects) recorded(hash plumbing.Hash, rec record) (recorded, error) {
	e, known := rec.find(hash)
	raw, err := o.get(plumbing.CommitObject, hash)
	if err != nil || known {
		return e, err
	}
	e = recorded{hash: hash, Hash: hash.String(), Raw: raw}
	if e.commit, err = parseCommit(raw); err != nil {
		return recorded{}, &ObjectError{hash.String(), "commit", err}
	}
	// Older than the record. The checkpoint is there or not; without it the tree will not come out the same.
	if entry, err := o.find(e.commit.TreeHash, checkpointPath); err == nil && !entry.Hash.IsZero() {
		e.Checkpoint, _ = o.get(plumbing.BlobObject, entry.Hash)
	}
	return e, nil
}

// checkAdded returns an *ObjectError for each damaged object that the tree new has and base has not, with ends also for
// those on the way to its highest segments and the checkpoint.
func (o *objects) checkAdded(base, new plumbing.Hash, ends bool) (bad []error, err error) {
	judge := func(err error) error {
		if isDamage(err) {
			bad = append(bad, err)
			return nil
		}
		return err
	}
	err = o.diff(base, new, "", func(c change) error {
		if c.new.Hash.IsZero() || c.new.Mode == filemode.Dir {
			return nil
		}
		_, err := o.get(plumbing.BlobObject, c.new.Hash)
		return judge(err)
	}, func(_ string, err error) error { return judge(err) })
	if err != nil || !ends {
		return bad, err
	}
	for _, dir := range []string{ledgerDir, documentsDir} {
		_, blob, err := o.highest(new, dir)
		if err == nil && !blob.IsZero() {
			_, err = o.get(plumbing.BlobObject, blob)
		}
		if err := judge(err); err != nil {
			return bad, err
		}
	}
	e, err := o.find(new, checkpointPath)
	if err == nil && !e.Hash.IsZero() {
		_, err = o.get(plumbing.BlobObject, e.Hash)
	}
	return bad, judge(err)
}

// remake writes what is missing of a commit: all of its tree, from the segments up to the sizes that its message names.
func (r *Repository) remake(c damagedCommit) error {
	_, trailers, err := ParseMessage(c.commit.Message)
	if err != nil {
		return err
	}
	ledger, documents, err := sizes(trailers)
	if err != nil {
		return err
	}
	o := openObjects(r.git)
	o.thorough = true
	defer o.discard()
	var files []file
	if len(c.Checkpoint) > 0 {
		hash, err := o.put(plumbing.BlobObject, c.Checkpoint)
		if err != nil {
			return err
		}
		files = append(files, file{checkpointPath, hash})
	}
	for _, part := range []struct {
		dir  string
		size int64
	}{{documentsDir, documents}, {ledgerDir, ledger}} {
		more, err := r.storeLines(o, part.dir, part.size)
		if err != nil {
			return err
		}
		files = append(files, more...)
	}
	tree, err := o.graft(plumbing.ZeroHash, files)
	if err != nil {
		return err
	}
	if tree != c.commit.TreeHash {
		return errors.New("the segments are not what was committed")
	}
	if _, err := o.put(plumbing.CommitObject, c.Raw); err != nil {
		return err
	}
	return o.flush()
}

// storeLines stores the first size lines of the segments in dir.
func (r *Repository) storeLines(o *objects, dir string, size int64) (files []file, err error) {
	segments, err := listSegments(r.dir, dir, 0)
	if err != nil {
		return nil, err
	}
	next := int64(0)
	for _, first := range segments {
		if next == size {
			break
		}
		path := segmentPath(dir, first)
		if first != next {
			return nil, &SegmentError{path, fmt.Sprintf("line %d was expected to be the next", next)}
		}
		content, err := r.read(path, -1)
		if err != nil {
			return nil, err
		}
		content = wholeLines(content)
		if next += countLines(content); next > size {
			content, next = firstLines(content, size-first), size
		}
		hash, err := o.put(plumbing.BlobObject, content)
		if err != nil {
			return nil, err
		}
		files = append(files, file{path, hash})
	}
	if next != size {
		return nil, &SegmentError{dir, fmt.Sprintf("has %d lines, %d were committed", next, size)}
	}
	return files, nil
}
