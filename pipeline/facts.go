package pipeline

import (
	"cmp"
	"reflect"
	"time"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// cycleLimit bounds the search for a cycle: jobs looked at for one proposal.
const cycleLimit = 10000

// known is what gates ask of other jobs: an index, or a transaction on it.
type known interface {
	Job(id string) (index.Row, bool, error)
	KeyHolder(source, key string) (index.Row, bool, error)
	Cycle(id, revises string, deps []string, limit int) ([]string, bool, error)
	Children(parent string) (int, error)
	MissionJobs(mission string) (int, error)
	Mission(id string) (index.Mission, bool, error)
	TaskOf(jobID string) (mission, source, proposalSHA256 string, found bool, err error)
	Hosts() ([]index.Host, error)
	Events(f index.EventFilter, each func(ledger.Event) error) error
}

// lookup collects what the gates have to know of the world for one proposal. A proposal without id, key, dependencies,
// parent and mission costs no query.
func lookup(k known, r *rules.Rules, now time.Time, c *candidate, hostSets [][]string) (gates.Facts, error) {
	f := gates.Facts{Hosts: hostSets}
	p := c.proposal
	if job.ValidID(p.ID) {
		row, ok, err := k.Job(p.ID)
		if err != nil {
			return f, err
		}
		if ok {
			f.SameID = knownJob(row)
		}
		// A dependent of a task waits for its id, and reads what the job of that id leaves. What comes out of a job is no task.
		mission, _, _, found, err := k.TaskOf(p.ID)
		if err != nil {
			return f, err
		}
		if prov := c.intake.Provenance; found && (mission != prov.MissionID || prov.ParentID != "") {
			f.Reserved = mission
		}
	}
	key := p.IdempotencyKey
	if c.intake.Key != "" {
		key = c.intake.Key
	}
	if key != "" {
		row, ok, err := k.KeyHolder(c.intake.Provenance.Source, key)
		if err != nil {
			return f, err
		}
		if ok && row.ID != c.intake.Revises && !keyFree(r, row, now) {
			f.SameKey = knownJob(row)
		}
	}
	for _, id := range p.DependsOn {
		if !job.ValidID(id) {
			continue
		}
		row, ok, err := k.Job(id)
		if err != nil {
			return f, err
		}
		if ok {
			f.Depends = append(f.Depends, *knownJob(row))
		} else {
			f.Depends = append(f.Depends, gates.Known{ID: id})
		}
	}
	var err error
	if revises := c.intake.Revises; len(p.DependsOn) > 0 && f.SameID == nil && (job.ValidID(p.ID) || revises != "") {
		if f.Cycle, _, err = k.Cycle(cmp.Or(p.ID, revises), revises, p.DependsOn, cycleLimit); err != nil {
			return f, err
		}
	}
	if parent := c.intake.Provenance.ParentID; parent != "" {
		if f.Siblings, err = k.Children(parent); err != nil {
			return f, err
		}
	}
	mission := cmp.Or(c.intake.Provenance.MissionID, p.MissionID)
	if mission != "" && job.ValidID(mission) {
		if f.MissionJobs, err = k.MissionJobs(mission); err != nil {
			return f, err
		}
	}
	if prov := c.intake.Provenance; prov.ParentID != "" && prov.MissionID != "" {
		// What a mission was submitted with is within its budget; what comes out of its jobs has to be.
		m, _, err := k.Mission(prov.MissionID)
		if err != nil {
			return f, err
		}
		f.MissionLimit = m.Budget.Jobs
	}
	return f, nil
}

func knownJob(row index.Row) *gates.Known {
	return &gates.Known{ID: row.ID, Source: row.Source, Status: row.Status, PayloadSHA256: row.PayloadSHA256, Exists: true}
}

// sameFacts reports whether the report of c, which was made under its facts, is still good under now. What the gates would say
// nothing about does not matter, so that the members of a batch that depend on each other or share a key or a mission are
// not all judged again, one by one and inside the lock.
func (c *candidate) sameFacts(now gates.Facts) bool {
	return reflect.DeepEqual(c.settled(c.facts), c.settled(now))
}

// settled leaves of facts what can be a reason: of a known job its identity, not how far it has come; a holder of the key only
// with another payload; dependencies only on jobs of other sources; the size of a mission only where that is limited.
func (c *candidate) settled(f gates.Facts) gates.Facts {
	drop := func(k *gates.Known) *gates.Known {
		if k == nil {
			return nil
		}
		c := *k
		c.Status = ""
		return &c
	}
	f.SameID, f.SameKey = drop(f.SameID), drop(f.SameKey)
	if f.SameKey != nil && f.SameKey.PayloadSHA256 == c.payloadSHA256 && !c.storedIntake.Redacted {
		f.SameKey = nil
	}
	deps := make([]gates.Known, 0, len(f.Depends))
	for i := range f.Depends {
		if d := drop(&f.Depends[i]); d.Exists && d.Source != c.intake.Provenance.Source {
			deps = append(deps, *d)
		}
	}
	f.Depends = deps
	if f.MissionLimit == 0 {
		f.MissionJobs = 0
	}
	return f
}
