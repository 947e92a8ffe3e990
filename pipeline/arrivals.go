package pipeline

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
)

// Arrivals follow submissions to the jobs that they become. A proposal whose id is taken becomes a job with another one, and
// what is asked for is the fate of this proposal, not of the job that has its id.
type Arrivals struct {
	p      *Pipeline
	behind int64 // number of the next event, before anything was submitted
	list   []arrival
}

// arrival is a submission that is waited for.
type arrival struct {
	Submitted
	seen int64 // number of the last job that was looked at
}

// Arrivals begins to follow what is submitted from now on.
func (p *Pipeline) Arrivals(ctx context.Context) (*Arrivals, error) {
	a := &Arrivals{p: p}
	err := p.view(ctx, func(r *index.Reader) error {
		pos, err := r.Position()
		a.behind = pos.Size
		return err
	})
	return a, err
}

// Expect adds a submission.
func (a *Arrivals) Expect(s Submitted) { a.list = append(a.list, arrival{s, a.behind - 1}) }

// Len is how many submissions are waited for.
func (a *Arrivals) Len() int { return len(a.list) }

// Wait waits for the jobs as Pipeline.Wait does.
func (a *Arrivals) Wait(ctx context.Context, o WaitOptions, emit func(job.Result) error) error {
	waits := make([]awaited, len(a.list))
	for i := range a.list {
		s, id := &a.list[i], ""
		waits[i] = func(ctx context.Context) (row indexRow, res job.Result, done bool, err error) {
			if id == "" {
				if id, err = a.p.became(ctx, s, a.behind); err != nil || id == "" {
					return row, res, false, err
				}
			}
			return a.p.outcome(ctx, id)
		}
	}
	o.own = a.own
	return a.p.await(ctx, waits, o, emit)
}

// own reports whether a job is what one of the submissions has become.
func (a *Arrivals) own(row indexRow) bool {
	for i := range a.list {
		s := &a.list[i]
		if row.Source != s.Source || row.PayloadSHA256 != s.payloadSHA256 {
			continue
		}
		if row.ID == s.JobID {
			return true
		}
		if made, err := a.p.madeOf(row, &s.Submitted); err == nil && made {
			return true
		}
	}
	return false
}

// became returns the id of the job that a submission has become, "" where it has not yet.
func (p *Pipeline) became(ctx context.Context, s *arrival, behind int64) (id string, err error) {
	// Looked at first: what is gone by then has become a job before the other look.
	_, statErr := os.Lstat(filepath.Join(p.ws.Root(), s.Path))
	gone := errors.Is(statErr, fs.ErrNotExist)
	coming := true
	if gone {
		if coming, err = p.coming(); err != nil {
			return "", err
		}
	}
	err = p.view(ctx, func(r *index.Reader) error {
		row, known, err := r.Job(s.JobID)
		if err != nil {
			return err
		}
		if known && row.Seq >= behind {
			if own, err := p.madeOf(row, &s.Submitted); err != nil || own {
				id = row.ID
				return err
			}
		}
		if !gone {
			return nil
		}
		if id, err = p.arrived(r, s); err != nil || id != "" {
			return err
		}
		if known && row.Source == s.Source && row.PayloadSHA256 == s.payloadSHA256 {
			id = row.ID // the same had been proposed before
		}
		return nil
	})
	if err == nil && id == "" && !coming {
		err = &InputError{File: s.Path, Message: "it is not in the inbox any more, and has become no job", Way: "sheratan jobs"}
	}
	return id, err
}

// madeOf reports whether a job was made of a submission.
func (p *Pipeline) madeOf(row indexRow, s *Submitted) (bool, error) {
	in, _, err := p.loadIntake(row)
	if err != nil {
		if p.missed(err) {
			err = nil
		}
		return false, err
	}
	return in.Provenance.File == path.Base(s.Path) && in.Provenance.Line == s.line, nil
}

// arrived looks through the jobs that came since, for the one that was made of a submission.
func (p *Pipeline) arrived(r *index.Reader, s *arrival) (id string, err error) {
	for {
		rows, err := r.List(index.JobFilter{Source: s.Source, After: &s.seen, Limit: arrivalsPage})
		if err != nil || len(rows) == 0 {
			return "", err
		}
		for _, row := range rows {
			if own, err := p.madeOf(row, &s.Submitted); err != nil || own {
				return row.ID, err
			}
		}
		s.seen = rows[len(rows)-1].Seq
	}
}

// arrivalsPage is how many jobs are looked at together.
const arrivalsPage = 1000

// coming reports whether there are proposals that have not become jobs yet.
func (p *Pipeline) coming() (bool, error) {
	waiting, _, err := p.ws.CountInbox(1)
	if err != nil || waiting > 0 {
		return waiting > 0, err
	}
	claims, err := os.ReadDir(p.ws.ClaimedDir())
	return len(claims) > 0, err
}

// number gives each submission its line, where several were put into one file.
func number(list []Submitted) {
	lines := map[string]int{}
	for i := range list {
		if s := &list[i]; strings.HasSuffix(s.Path, ".jsonl") {
			lines[s.Path]++
			s.line = lines[s.Path]
		}
	}
}

// Jobs returns the ids of the jobs that the submissions have become, in their order, "" for one that lies in the inbox still.
func (a *Arrivals) Jobs(ctx context.Context) ([]string, error) {
	ids := make([]string, len(a.list))
	for i := range a.list {
		id, err := a.p.became(ctx, &a.list[i], a.behind)
		if err != nil {
			return nil, err
		}
		ids[i] = id
	}
	return ids, nil
}
