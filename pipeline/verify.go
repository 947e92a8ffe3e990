package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/durable"
	"github.com/sheratan/sheratan/runtime/history"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// Finding is one thing that is wrong. Seq is the event concerned, -1 where it is none.
type Finding struct {
	Code    string `json:"code"`
	Seq     int64  `json:"seq"`
	Message string `json:"message"`
}

// Verification is the outcome of verifying a ledger.
type Verification struct {
	OK       bool      `json:"ok"`
	Size     int64     `json:"size"`
	Root     string    `json:"root"`
	Findings []Finding `json:"findings"`
	Removed  int       `json:"removed"`         // files that are not there because an event says that they were removed
	Notes    []Finding `json:"notes,omitempty"` // some of these, and what else is no finding: nothing is wrong
	Since    *Since    `json:"since,omitempty"` // what was not looked at again; nil where everything was
}

// The findings that verify adds to those of ledger and history.
const (
	CodeIndexDiffers    = "INDEX_DIFFERS"
	CodeEndMissing      = "END_MISSING" // a job is over, and no event says so
	CodeOutputMissing   = "OUTPUT_MISSING"
	CodeOutputDigest    = "OUTPUT_DIGEST"
	CodeArtifactMissing = "ARTIFACT_MISSING"
	CodeArtifactDigest  = "ARTIFACT_DIGEST"
	CodeFileRemoved     = "FILE_REMOVED" // not a finding but a note
	CodeVerifiedDiffers = "VERIFIED_DIFFERS"
	CodeNeverVerified   = "NEVER_VERIFIED" // a note, and the next two as well
	CodeVerifiedLost    = "VERIFIED_UNREADABLE"
	CodeNotRemembered   = "VERIFIED_NOT_KEPT"
	CodeGitBehind       = "GIT_BEHIND"
	CodeNoHistory       = "NO_HISTORY"
	CodeRolledBackIndex = "LEDGER_SHORTER"
)

// Incomplete reports whether nothing is wrong but that git lacks something which ledger and documents have: the next command
// that writes makes it again.
func (v Verification) Incomplete() bool {
	for _, f := range v.Findings {
		switch f.Code {
		case CodeGitBehind, CodeNoHistory, history.GitMissing, history.GitObject, history.GitBranch:
		default:
			return false
		}
	}
	return len(v.Findings) > 0
}

// VerifyOptions says what Verify looks at.
type VerifyOptions struct {
	// SinceLast leaves out what the last verification found whole: the events up to there with what they name, git, and the index.
	// An event that was altered there since is not found. Where the ledger does not have the last event that was verified, that is
	// a finding, and everything is looked at.
	SinceLast bool
	Progress  Progress // may be nil
}

// Progress is told now and then how far long work has come: what is being done, how much of it is done, and of how much. A total
// of 0 is not known.
type Progress func(step string, done, total int64)

// What a Progress is told is being done.
const (
	StepEvents  = "verifying events"
	StepHistory = "verifying git"
	StepApply   = "applying events"
	StepCompare = "comparing rows of the index"
)

// of is the progress of one step.
func (p Progress) of(step string, total int64) func(done int64) {
	if p == nil {
		return func(int64) {}
	}
	p(step, 0, total)
	return func(done int64) { p(step, done, total) }
}

// Verify checks the whole ledger: form, sequence and chain of its lines, digests of documents, output files and artifacts,
// agreement of the git commits with the files, and the index with a rebuild. It changes nothing of these; where git is damaged
// it leaves a mark, so that the next command that writes looks through all of it, and where nothing is wrong it remembers how far
// that is so.
func (p *Pipeline) Verify(ctx context.Context, o VerifyOptions) (Verification, error) {
	last, err := p.lastVerified()
	note := Finding{CodeNeverVerified, -1, "no earlier verification is remembered, so everything was looked at"}
	if err != nil {
		note = Finding{CodeVerifiedLost, -1, fmt.Sprintf("%v; so everything was looked at", err)}
	}
	if !o.SinceLast {
		return p.verify(ctx, o.Progress, last, nil)
	}
	if last != nil {
		v, err := p.verify(ctx, o.Progress, last, last)
		tampered, ok := errors.AsType[*ledger.TamperError](err)
		if !ok {
			return v, err
		}
		v, err = p.verify(ctx, o.Progress, last, nil)
		v.Findings = append([]Finding{{CodeVerifiedDiffers, tampered.Seq,
			fmt.Sprintf("what was verified at %s is not there any more: %v", last.At, tampered)}}, v.Findings...)
		v.OK = false
		return v, err
	}
	v, err := p.verify(ctx, o.Progress, nil, nil)
	v.Notes = append(v.Notes, note)
	return v, err
}

// verify checks everything, or what came since a position that the ledger has to have. last is what is remembered of it.
func (p *Pipeline) verify(ctx context.Context, progress Progress, last, since *verified) (Verification, error) {
	v := Verification{Findings: []Finding{}}
	add := func(code string, seq int64, format string, args ...any) {
		v.Findings = append(v.Findings, Finding{code, seq, fmt.Sprintf(format, args...)})
	}
	files := &fileVerifier{p: p, add: add}
	indexed, total := p.remembered(ctx)
	opts := ledger.VerifyOptions{
		Known:     []ledger.Position{indexed},
		Documents: true,
		Document: func(ev *ledger.Event, doc []byte) error {
			switch ev.Event {
			case job.JobCompleted, job.JobFailed, job.JobAttemptFailed:
				files.result(ev, doc)
			}
			return nil
		},
	}
	if last != nil && !last.position.Equal(indexed) {
		opts.Known = append(opts.Known, last.position)
	}
	if since != nil {
		opts.From = since.position
		v.Since = &Since{Size: since.position.Size, At: since.At, Full: since.Full, FullAt: since.FullAt}
	}
	done := progress.of(StepEvents, total)
	opts.Event = func(ev *ledger.Event, _ ledger.Position) error {
		if ev.Seq%progressEvery == 0 {
			done(ev.Seq)
			return ctx.Err()
		}
		return nil
	}
	pos, err := p.log.Verify(ctx, opts, func(f ledger.Finding) error {
		add(f.Code, f.Seq, "%s", f.Message)
		return nil
	})
	if err != nil {
		return v, err
	}
	v.Removed, v.Notes = files.gone, files.notes
	v.Size, v.Root = pos.Size, pos.RootHex()
	if since == nil {
		progress.of(StepHistory, 0)
		if err := p.verifyHistory(ctx, add); err != nil {
			return v, err
		}
	}
	if err := p.verifyCommitted(ctx, &v); err != nil {
		return v, err
	}
	if len(v.Findings) == 0 && since == nil {
		found, err := p.CheckIndex(ctx, progress)
		if err != nil {
			return v, err
		}
		v.Findings = append(v.Findings, found...)
	}
	v.OK = len(v.Findings) == 0
	if v.OK && indexed.Size > opts.From.Size && indexed.Size <= pos.Size && (last == nil || indexed.Size >= last.position.Size) {
		if err := p.rememberVerified(indexed, since); err != nil {
			v.Notes = append(v.Notes, Finding{CodeNotRemembered, -1, fmt.Sprintf("that it verifies is not remembered: %v", err)})
		}
	}
	return v, nil
}

// progressEvery is how many events are looked at between two words of progress.
const progressEvery = 1024

// remembered is the position that the index remembers, read without changing anything: a ledger that was cut is to be
// found here, not to be refused.
func (p *Pipeline) remembered(ctx context.Context) (ledger.Position, int64) {
	db, err := index.OpenExisting(p.ws.IndexDB())
	if err != nil {
		return ledger.Position{}, 0 // there is nothing to compare with; CheckIndex says what is wrong with the index
	}
	defer db.Close()
	var pos ledger.Position
	if err := db.View(ctx, func(r *index.Reader) error {
		pos, err = r.Position()
		return err
	}); err != nil {
		return ledger.Position{}, 0
	}
	return pos, pos.Size
}

func digestFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), err
}

func (p *Pipeline) verifyHistory(ctx context.Context, add func(string, int64, string, ...any)) error {
	repo, err := p.repository()
	if err != nil {
		return err
	}
	found, err := repo.Verify(ctx)
	if err == nil && len(found) > 0 {
		_ = repo.Suspect() // whoever may not write here leaves it to those who may
	}
	if errors.Is(err, history.ErrNoRepository) || errors.Is(err, history.ErrNoCommits) {
		if p.opts.NoCommit {
			return nil
		}
		add(CodeNoHistory, -1, "%s: there is no git history; the next command that writes begins a new one", p.ws.Rel(p.ws.Git()))
		return nil
	}
	if err != nil {
		return err
	}
	for _, f := range found {
		where := f.Message
		if f.Commit != "" {
			where = f.Commit[:min(12, len(f.Commit))] + ": " + where
		}
		add(f.Code, -1, "%s", where)
	}
	return nil
}

// verifyCommitted finds events that are not in git. While somebody may yet be about to commit them that is a note.
func (p *Pipeline) verifyCommitted(ctx context.Context, v *Verification) error {
	if p.opts.NoCommit {
		return nil
	}
	repo, err := p.repository()
	if err != nil {
		return err
	}
	head, err := repo.Head()
	if err != nil || head.LedgerSize >= v.Size {
		return nil // without a head there is a finding already
	}
	f := Finding{CodeGitBehind, head.LedgerSize, fmt.Sprintf("git lacks the last %d events; the next command that writes commits them",
		v.Size-head.LedgerSize)}
	rests, err := p.rests(abandoned)
	if err == nil && rests {
		rests, err = p.idle(ctx)
	}
	if err != nil || !rests {
		v.Notes = append(v.Notes, f)
		return err
	}
	v.Findings = append(v.Findings, f)
	return nil
}

// idle reports whether no process has a job of this host.
func (p *Pipeline) idle(ctx context.Context) (bool, error) {
	idle := true
	err := p.view(ctx, func(r *index.Reader) error {
		rows, err := r.Leased(LocalHost)
		for _, row := range rows {
			idle = idle && !durable.Alive(row.Runner.Boot, row.Runner.PID, row.Runner.Start)
		}
		return err
	})
	return idle, err
}

// shownDifferences is how many rows verify names in which index and rebuild differ.
const shownDifferences = 10

// CheckIndex compares the index with one that is rebuilt from the ledger, and looks for jobs that are over without an event that
// ended them. That is asked of the events alone: a fault of the state table would be in the rebuild as well. progress may be nil.
func (p *Pipeline) CheckIndex(ctx context.Context, progress Progress) ([]Finding, error) {
	db, err := p.reader(ctx)
	if err != nil {
		return nil, err
	}
	total, err := p.log.Size()
	if err != nil {
		return nil, err
	}
	applied, compared := progress.of(StepApply, total), func(int64) {}
	diffs, err := db.CheckRebuild(ctx, p.log, p.docs, shownDifferences, index.CheckProgress{
		Applied: applied,
		Compared: func(n int64) {
			if n == 0 {
				compared = progress.of(StepCompare, 0)
			}
			compared(n)
		},
	})
	if garbage, ok := errors.AsType[*index.GarbageError](err); ok {
		return []Finding{{CodeIndexDiffers, -1, garbage.Error() + "; sheratan index rebuild makes it again"}}, nil
	}
	if err != nil {
		return nil, err
	}
	var found []Finding
	err = p.view(ctx, func(r *index.Reader) error {
		list, err := r.Unended(shownDifferences)
		for _, u := range list {
			found = append(found, Finding{CodeEndMissing, -1, fmt.Sprintf("job %s is %s, and no event ended it", u.ID, u.Status)})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, d := range diffs {
		found = append(found, Finding{CodeIndexDiffers, -1, "the index is not what the ledger says: " + d.String() +
			"; sheratan index rebuild makes it again"})
	}
	return found, nil
}

// RebuildIndex fills the index again from the ledger, and returns the number of events.
func (p *Pipeline) RebuildIndex(ctx context.Context, progress Progress) (int64, error) {
	lock, err := p.ws.Lock(ctx)
	if err != nil {
		return 0, err
	}
	n, err := p.rebuildLocked(ctx, progress)
	if err = errors.Join(err, lock.Unlock()); err != nil {
		return n, err
	}
	return n, p.placeEverything(ctx)
}

func (p *Pipeline) rebuildLocked(ctx context.Context, progress Progress) (int64, error) {
	db, err := p.openIndex()
	if err == nil && p.discardGarbage(errors.Join(db.CheckSchema(ctx), db.Check(ctx))) {
		db, err = p.openIndex()
	}
	if err != nil {
		return 0, err
	}
	total, err := p.log.Size()
	if err != nil {
		return 0, err
	}
	tx, err := db.Begin(ctx)
	if err != nil {
		return 0, err
	}
	pos, torn, err := tx.Rebuild(p.log, p.docs, progress.of(StepApply, total))
	if err == nil && torn != nil {
		err = p.guardTorn(torn)
	}
	if err == nil && torn != nil {
		pos, err = p.moveTorn(tx, pos, torn)
	}
	if err == nil {
		err = tx.SetPosition(pos)
	}
	if err != nil {
		return 0, errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return pos.Size, err
	}
	// The WAL holds as much as the index now. Every command would have to read all of it until some tick writes it back.
	return pos.Size, db.Checkpoint()
}

// placeEverything puts the files of all jobs that are not over in place, after the index has been made again.
func (p *Pipeline) placeEverything(ctx context.Context) error {
	for _, status := range []job.Status{job.StatusPending, job.StatusThrottled, job.StatusRunning, job.StatusQuarantined} {
		var ids []string
		err := p.view(ctx, func(r *index.Reader) error {
			ids = nil
			rows, err := r.List(index.JobFilter{Status: []job.Status{status}})
			for _, row := range rows {
				ids = append(ids, row.ID)
			}
			return err
		})
		if err != nil {
			return err
		}
		p.placeAll(ids)
	}
	return nil
}
