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
	Notes    []Finding `json:"notes,omitempty"` // some of these: nothing is wrong
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

// Verify checks the whole ledger: form, sequence and chain of its lines, digests of documents, output files and artifacts,
// agreement of the git commits with the files, and the index with a rebuild. It changes nothing of these; where git is damaged
// it leaves a mark, so that the next command that writes looks through all of it. progress may be nil.
func (p *Pipeline) Verify(ctx context.Context, progress func(done, total int64)) (Verification, error) {
	v := Verification{Findings: []Finding{}}
	add := func(code string, seq int64, format string, args ...any) {
		v.Findings = append(v.Findings, Finding{code, seq, fmt.Sprintf(format, args...)})
	}
	files := &fileVerifier{p: p, add: add}
	known, total := p.remembered(ctx)
	pos, err := p.log.Verify(ctx, ledger.VerifyOptions{
		Known:     known,
		Documents: true,
		Event: func(ev *ledger.Event, _ ledger.Position) error {
			if progress != nil && ev.Seq%1000 == 0 {
				progress(ev.Seq, total)
			}
			return ctx.Err()
		},
		Document: func(ev *ledger.Event, doc []byte) error {
			switch ev.Event {
			case job.JobCompleted, job.JobFailed, job.JobAttemptFailed:
				files.result(ev, doc)
			}
			return nil
		},
	}, func(f ledger.Finding) error {
		add(f.Code, f.Seq, "%s", f.Message)
		return nil
	})
	if err != nil {
		return v, err
	}
	v.Removed, v.Notes = files.gone, files.notes
	v.Size, v.Root = pos.Size, pos.RootHex()
	if err := p.verifyHistory(ctx, add); err != nil {
		return v, err
	}
	if err := p.verifyCommitted(ctx, &v); err != nil {
		return v, err
	}
	if len(v.Findings) == 0 {
		found, err := p.CheckIndex(ctx)
		if err != nil {
			return v, err
		}
		v.Findings = append(v.Findings, found...)
	}
	v.OK = len(v.Findings) == 0
	return v, nil
}

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
// ended them. That is asked of the events alone: a fault of the state table would be in the rebuild as well.
func (p *Pipeline) CheckIndex(ctx context.Context) ([]Finding, error) {
	db, err := p.reader(ctx)
	if err != nil {
		return nil, err
	}
	diffs, err := db.CheckRebuild(ctx, p.log, p.docs, shownDifferences, nil)
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
func (p *Pipeline) RebuildIndex(ctx context.Context, progress func(done, total int64)) (int64, error) {
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

func (p *Pipeline) rebuildLocked(ctx context.Context, progress func(done, total int64)) (int64, error) {
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
	pos, torn, err := tx.Rebuild(p.log, p.docs, func(n int64) {
		if progress != nil {
			progress(n, total)
		}
	})
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
	return pos.Size, tx.Commit()
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
