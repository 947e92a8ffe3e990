package pipeline

import (
	"context"
	"os"
	"path/filepath"

	"github.com/sheratan/sheratan/hosts"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
)

// JobLine is a job document with its id in front, as every line about a job has it.
type JobLine struct {
	JobID string `json:"job_id"`
	job.Job
	Attempts []Attempt `json:"attempts,omitempty"` // those that are over, where one job was asked for
}

// reader returns the index for reading. Where it is missing, broken or behind, it is made good first.
func (p *Pipeline) reader(ctx context.Context) (*index.DB, error) {
	p.mu.Lock()
	db := p.db
	p.mu.Unlock()
	if db != nil {
		if stale, err := db.Stale(); err == nil && !stale {
			return db, nil
		}
	}
	err := p.pass(ctx, func(*batch) error { return nil })
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.db, nil
}

// Job returns one job document.
func (p *Pipeline) Job(ctx context.Context, id string) (JobLine, error) {
	row, err := p.row(ctx, id)
	if err != nil {
		return JobLine{}, err
	}
	j, err := p.assembleShown(ctx, row)
	return JobLine{JobID: id, Job: j}, err
}

func (p *Pipeline) row(ctx context.Context, id string) (indexRow, error) {
	row, ok, err := p.find(ctx, id)
	if err == nil && !ok {
		err = &UnknownJobError{id}
	}
	return row, err
}

// find reads a job that there may be.
func (p *Pipeline) find(ctx context.Context, id string) (row indexRow, ok bool, err error) {
	err = p.view(ctx, func(r *index.Reader) error {
		row, ok, err = r.Job(id)
		return err
	})
	return row, ok, err
}

// Status is the state of the workspace in a few numbers.
type Status struct {
	State    string         `json:"state"` // running, paused or idle
	Jobs     map[string]int `json:"jobs"`
	Inbox    int            `json:"inbox"`
	Approved int            `json:"approved"`
	Blocked  int            `json:"blocked"`
	Ledger   LedgerState    `json:"ledger"`
	Hosts    []hosts.Host   `json:"hosts"`
	Paused   []Pause        `json:"paused"`
	Strays   []string       `json:"strays"`                // names in the inbox that are left alone, and why
	Rules    string         `json:"rules_error,omitempty"` // why the loop that runs begins nothing
}

// Pause says that no job of a source ("" is all of them) is dispatched.
type Pause struct {
	Source string `json:"source"`
	Reason string `json:"reason"`
	Kill   bool   `json:"kill"`
	Since  string `json:"since"`
}

// LedgerState is the size of the ledger and its RFC 6962 root in lower-case hex.
type LedgerState struct {
	Size int64  `json:"size"`
	Root string `json:"root"`
}

// inboxCounted bounds how many inbox files status counts.
const inboxCounted = 10000

// Status counts. It costs the same however long the history is.
func (p *Pipeline) Status(ctx context.Context) (Status, error) {
	var s Status
	err := p.view(ctx, func(r *index.Reader) (err error) {
		s, err = p.statusOf(r)
		return err
	})
	if err != nil {
		return s, err
	}
	err = p.inboxOf(&s)
	return s, err
}

// inboxOf adds what waits in the inbox, what lies there and is left alone, and why a loop takes nothing out of it.
func (p *Pipeline) inboxOf(s *Status) (err error) {
	if s.Rules, err = p.loopRefuses(); err != nil {
		return err
	}
	n, strays, err := p.ws.CountInbox(inboxCounted)
	s.Inbox = n
	for _, stray := range strays {
		s.Strays = append(s.Strays, stray.String())
	}
	return err
}

// statusOf is what the index knows of the state of the workspace.
func (p *Pipeline) statusOf(r *index.Reader) (Status, error) {
	s := Status{State: "idle", Jobs: map[string]int{}, Hosts: []hosts.Host{}, Paused: []Pause{}, Strays: []string{}}
	for _, st := range job.Statuses {
		s.Jobs[string(st)] = 0
	}
	counts, err := r.Counts()
	if err != nil {
		return s, err
	}
	held, err := r.Held()
	if err != nil {
		return s, err
	}
	for _, c := range counts {
		for st, n := range held.Count(c).Status {
			s.Jobs[string(st)] += n
		}
	}
	pos, err := r.Position()
	if err != nil {
		return s, err
	}
	s.Ledger = LedgerState{pos.Size, pos.RootHex()}
	if s.Hosts, err = p.hosts(r, nil); err != nil {
		return s, err
	}
	if err := s.pauses(r); err != nil {
		return s, err
	}
	s.Approved = s.Jobs[string(job.StatusPending)] + s.Jobs[string(job.StatusThrottled)] + s.Jobs[string(job.StatusRunning)]
	s.Blocked = s.Jobs[string(job.StatusQuarantined)]
	if s.State == "idle" && s.Jobs[string(job.StatusRunning)] > 0 {
		s.State = "running"
	}
	return s, nil
}

func (s *Status) pauses(r *index.Reader) error {
	list, err := r.Paused()
	for _, pause := range list {
		s.Paused = append(s.Paused, Pause{pause.Source, pause.Reason, pause.Kill, job.FormatTime(pause.Since)})
		if pause.Source == "" {
			s.State = "paused"
		}
	}
	return err
}

// Hosts lists the hosts with their present load.
func (p *Pipeline) Hosts(ctx context.Context) (list []hosts.Host, err error) {
	err = p.view(ctx, func(r *index.Reader) error {
		list, err = p.hosts(r, nil)
		return err
	})
	return list, err
}

// abs is Rel turned round: the absolute path of what a document names relative to the workspace; "" stays.
func (p *Pipeline) abs(rel string) string {
	if rel == "" || filepath.IsAbs(rel) {
		return rel
	}
	return filepath.Join(p.ws.Root(), filepath.FromSlash(rel))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
