package history

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/sheratan/sheratan/runtime/durable"
)

// Repair is one thing that was found wrong with the repository and put right.
type Repair struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Codes of repairs.
const (
	FrameRestored    = "GIT_FRAME_RESTORED"    // folders, HEAD or config were missing: all of .git, for example
	LockRemoved      = "GIT_LOCK_REMOVED"      // a lock file that a dead process left
	BranchRestored   = "GIT_BRANCH_RESTORED"   // the branch was missing, empty, set back, or a commit had not reached it
	BranchReplaced   = "GIT_BRANCH_REPLACED"   // the branch names commits that were not made here; history goes on from them
	CommitRemade     = "GIT_COMMIT_REMADE"     // objects of a commit were missing or damaged, and were made again
	HistoryRestarted = "GIT_HISTORY_RESTARTED" // could not be mended: kept aside, and begun again from the files
	RecordSetAside   = "GIT_RECORD_SET_ASIDE"  // .sheratan/git.head was damaged
)

// Repair checks the objects of the last two commits by their content, the branch and the frame of the repository, and mends
// them. After a reboot, or where the branch was lost or set back, it checks all commits of the record; where an object turns
// out to be damaged, or Suspect was called, all there are. A commit that lost objects is made again from the segments and the
// record of the last commits, with the same time and so with the same hash. Where that is impossible the folder is kept as
// .git.damaged-N, and the next commit begins a new history with everything that the segments hold. Commit runs it once for
// each Repository.
func (r *Repository) Repair(ctx context.Context) (done []Repair, err error) {
	err = r.locked(ctx, func() error {
		var err error
		done, err = r.repair(ctx)
		return err
	})
	return done, err
}

// repair is Repair inside the lock.
func (r *Repository) repair(ctx context.Context) (done []Repair, err error) {
	note := func(code, format string, args ...any) {
		done = append(done, Repair{code, fmt.Sprintf(format, args...)})
	}
	made, err := r.restoreFrame()
	if err != nil {
		return done, err
	}
	if len(made) > 0 {
		note(FrameRestored, "missing or empty, and made again: %s", strings.Join(made, ", "))
	}
	rec, err := r.readRecord()
	if damaged := (*recordError)(nil); errors.As(err, &damaged) {
		note(RecordSetAside, "%v; kept as git.head.damaged", err)
		err = os.Rename(r.recordPath(), r.recordPath()+".damaged")
	}
	if err != nil {
		return done, err
	}
	why, err := r.removeStaleLock(rec)
	if err != nil {
		return done, err
	}
	if why != "" {
		note(LockRemoved, "%s: %s", r.lockPath(), why)
	}
	if err := r.removeLeftovers(); err != nil {
		return done, err
	}

	ref, err := r.readRef()
	if err != nil && !errors.Is(err, errRefDamaged) {
		return done, err
	}
	target, found := r.target(ref, err, rec)
	if target.IsZero() && err != nil {
		restarted, err := r.restart(err)
		done = append(done, restarted...)
		r.checked = err == nil
		return done, err
	}
	suspect, err := r.suspected()
	if err != nil {
		return done, err
	}
	if !target.IsZero() {
		enough := rec.surveyed(found != nil && !found.interrupted)
		if suspect {
			enough = wholeHistory
		}
		mended, err := r.mend(ctx, target, rec, enough)
		done = append(done, mended...)
		if err != nil {
			return done, err
		}
		if len(mended) > 0 && mended[len(mended)-1].Code == HistoryRestarted {
			r.checked = true
			return done, removeFile(r.suspectPath())
		}
	}
	if found != nil {
		done = append(done, found.Repair)
	}
	if target != ref {
		if err := r.moveRef(ctx, ref, target, true); err != nil {
			return done, err
		}
	}
	if suspect {
		if err := removeFile(r.suspectPath()); err != nil {
			return done, err
		}
	}
	r.checked = true
	return done, nil
}

// target is the commit that the branch should name: zero where there is none yet, or none is known. refErr is not nil
// where the branch exists and is damaged. found says what was wrong.
func (r *Repository) target(ref plumbing.Hash, refErr error, rec record) (plumbing.Hash, *branchRepair) {
	last := rec.last()
	restored := func(why string) (plumbing.Hash, *branchRepair) {
		return last, &branchRepair{Repair: Repair{BranchRestored, fmt.Sprintf("%s: %s; it names %s again", branch, why, last)}}
	}
	switch {
	case last.IsZero() || ref == last:
		return ref, nil
	case refErr != nil:
		return restored("was empty or garbage")
	case ref.IsZero():
		return restored("was missing")
	case ref == parent(rec[len(rec)-1].commit):
		next, repair := restored("a commit was interrupted before it was set")
		repair.interrupted = true
		return next, repair
	}
	if _, known := rec.find(ref); known || ref == parent(rec[0].commit) {
		return restored(fmt.Sprintf("had been set back to %s", ref))
	}
	if _, err := openObjects(r.git).commit(ref); isDamage(err) {
		return restored(fmt.Sprintf("named %s, which is not there", ref))
	}
	return ref, &branchRepair{Repair: Repair{BranchReplaced, fmt.Sprintf("%s: names %s, which was not committed here; the last commit made here was %s, "+
		"which stays until somebody prunes the repository (to keep it: git -C runtime branch kept %[3]s)", branch, ref, last)}}
}

// branchRepair is what was wrong with the branch.
type branchRepair struct {
	Repair
	interrupted bool // a process was killed in the middle of a commit, which leaves no damage
}

// mend surveys the history from target back and makes damaged commits again, or restarts the history.
func (r *Repository) mend(ctx context.Context, target plumbing.Hash, rec record, enough int) ([]Repair, error) {
	damage, err := r.survey(ctx, target, rec, enough)
	if err == nil && len(damage.commits) > 0 && enough != wholeHistory {
		// Where one object is damaged others may be, further back than the good ones in between.
		damage, err = r.survey(ctx, target, rec, wholeHistory)
	}
	if err != nil {
		return nil, err
	}
	if damage.hopeless != nil {
		return r.restart(damage.hopeless)
	}
	if len(damage.commits) == 0 {
		return nil, nil
	}
	for _, b := range damage.objects {
		if err := openObjects(r.git).remove(b.kind, b.hash); err != nil {
			return nil, err
		}
	}
	var done []Repair
	for i := len(damage.commits) - 1; i >= 0; i-- { // the oldest first
		c := damage.commits[i]
		if err := r.remake(c); err != nil {
			var file *fs.PathError
			if errors.As(err, &file) && !errors.Is(err, fs.ErrNotExist) {
				return done, err
			}
			return r.restart(fmt.Errorf("commit %s cannot be made again: %w", c.hash, err))
		}
		done = append(done, Repair{CommitRemade, fmt.Sprintf("%s: %v; made again from the segments", c.hash, c.first)})
	}
	again, err := r.survey(ctx, target, rec, wholeHistory)
	if err != nil {
		return done, err
	}
	if again.hopeless != nil {
		return r.restart(again.hopeless)
	}
	if len(again.commits) > 0 {
		return r.restart(again.commits[0].first)
	}
	return done, syncFileSystem(r.git) // these commits may not be in the record any more
}

// restart keeps the present repository aside and makes an empty one.
func (r *Repository) restart(why error) ([]Repair, error) {
	var aside string
	for n := 1; ; n++ {
		aside = fmt.Sprintf("%s.damaged-%d", r.git, n)
		err := durable.RenameNoReplace(r.git, aside)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	err := os.Rename(r.recordPath(), filepath.Join(aside, "sheratan.head"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if _, err := r.restoreFrame(); err != nil {
		return nil, err
	}
	return []Repair{{HistoryRestarted, fmt.Sprintf("%v; the history so far is kept in %s, a new one begins with the whole ledger", why, aside)}}, nil
}

// removeLeftovers deletes the temporary files of processes that died while they wrote. Those of our own commits are removed
// at once, because nobody else can be writing any while we hold the lock, others when they are old.
func (r *Repository) removeLeftovers() error {
	return errors.Join(r.sweepPacks(), r.removeOld(
		leftover{"objects", tempObject, 0},
		leftover{"objects", "tmp_obj_", staleLock},
		leftover{filepath.Dir(branch), durable.TempPrefix, 0}))
}

// leftover describes temporary files of one kind, and the age from which nobody can be writing them.
type leftover struct {
	dir, prefix string
	age         time.Duration
}

// sweepPacks removes what a packing left that was killed. A pack that lacks nothing but its name is given it before: git
// reads such a one, and may have removed for it what nobody else has.
func (r *Repository) sweepPacks() error {
	paths, err := packFiles(r.git, ".tmp-*-pack-*")
	if err != nil {
		return err
	}
	for _, path := range paths {
		_, name, _ := strings.Cut(filepath.Base(path), "-pack-")
		// A second name, because somebody may be about to give it that.
		err := os.Link(path, filepath.Join(filepath.Dir(path), "pack-"+name))
		if err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return r.removeOld(leftover{"objects/pack", "tmp_", staleLock}, leftover{"objects/pack", ".tmp-", staleLock})
}

func (r *Repository) removeOld(list ...leftover) error {
	for _, left := range list {
		entries, err := os.ReadDir(filepath.Join(r.git, left.dir))
		if err != nil {
			return err
		}
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), left.prefix) {
				continue
			}
			info, err := e.Info()
			if err == nil && time.Since(info.ModTime()) >= left.age {
				err = os.Remove(filepath.Join(r.git, left.dir, e.Name()))
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
