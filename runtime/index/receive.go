package index

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// receive applies PROPOSAL_RECEIVED, the only event that makes a job.
func (tx *Tx) receive(ev *ledger.Event, at time.Time, docs DocReader) error {
	e, err := tx.load(ev.JobID)
	if err != nil {
		return err
	}
	if e != nil {
		return &TransitionError{JobID: ev.JobID, Event: ev.Event, From: e.row.Status}
	}
	if !job.ValidID(ev.JobID) {
		return eventError(ev, fmt.Errorf("job id %q is not an identifier", ev.JobID))
	}
	status, ok := job.Next(ev.Event, "")
	if !ok {
		return &TransitionError{JobID: ev.JobID, Event: ev.Event}
	}
	var m ledger.Received
	if err := decode(ev, &m); err != nil {
		return err
	}
	if m.Priority < int(job.PriorityCritical) || m.Priority > int(job.PriorityLow) {
		return eventError(ev, fmt.Errorf("meta: priority %d", m.Priority))
	}
	row := Row{
		Seq: ev.Seq, ID: ev.JobID,
		Origin: Origin{Source: m.Source, Bucket: m.Bucket, Token: m.Token, Line: m.Line, TraceID: ev.TraceID, TaskID: m.TaskID,
			MissionID: m.MissionID, ParentID: m.ParentID, Depth: m.Depth, Revises: m.Revises, CreatedAt: at,
			Intake: artifact(ev, m.Located)},
		Spec: Spec{Kind: m.Kind, Priority: job.Priority(m.Priority), TimeoutSeconds: m.TimeoutSeconds,
			MaxRetries: m.MaxRetries, Backoff: job.Backoff(m.Backoff), Key: m.Key, PayloadSHA256: m.PayloadSHA256, Lane: m.ConcurrencyKey},
		Queue: Queue{Status: status, Zone: zoneInbox, UpdatedAt: at},
	}
	var deps []string
	if m.DependsOn > 0 {
		if deps, err = readDeps(row.Intake, docs); err != nil {
			return eventError(ev, err)
		}
	}
	if err := tx.addDeps(&row, deps); err != nil {
		return err
	}
	for family, id := range map[string]string{familyMission: row.MissionID, familyParent: row.ParentID} {
		if err := tx.addToFamily(family, id); err != nil {
			return err
		}
	}
	e = &entry{fresh: true}
	tx.change(e, &row)
	tx.cache.keep(e)
	return nil
}

// readDeps returns the ids in depends_on of the proposal in an intake, each once, in order.
func readDeps(ref ledger.Ref, docs DocReader) ([]string, error) {
	doc, err := docs.Read(ref)
	if err != nil {
		return nil, err
	}
	var intake struct {
		Proposal struct {
			DependsOn []json.RawMessage `json:"depends_on"`
		} `json:"proposal"`
	}
	if err := json.Unmarshal(doc, &intake); err != nil {
		return nil, fmt.Errorf("intake %s: %w", ref.SHA256, err)
	}
	var deps []string
	for _, raw := range intake.Proposal.DependsOn {
		var id string
		if json.Unmarshal(raw, &id) != nil {
			continue // not an id, and so nothing that could ever be waited for; the gates said so
		}
		if !slices.Contains(deps, id) {
			deps = append(deps, id)
		}
	}
	slices.Sort(deps)
	return deps, nil
}
