package pipeline

import (
	"context"
	"slices"
	"time"

	"github.com/sheratan/sheratan/hosts"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// LocalHost is the id of this machine in a workspace of its own.
const LocalHost = hosts.Local

// leaseSlack is what a lease lasts beyond the time limit of its attempt.
const leaseSlack = time.Minute

// DispatchLine is what dispatch says of one job.
type DispatchLine struct {
	JobID      string `json:"job_id"`
	Status     string `json:"status"`
	Host       string `json:"host"`
	Attempt    int    `json:"attempt"`
	LeaseUntil string `json:"lease_until"`
	Reason     string `json:"reason"`
}

// Dispatch chooses a host for jobs that are ready, in the order of their class and due time, and leases them to it. It
// stops when no host has a free slot. With ids only those are taken, and all of them: they line up at the host, which runs
// as many at a time as it has slots.
func (p *Pipeline) Dispatch(ctx context.Context, ids []string, emit func(DispatchLine) error) error {
	r, err := p.Rules(ctx)
	if err != nil {
		return err
	}
	var lines []DispatchLine
	var moved []string
	err = p.transact(ctx, func(b *batch) error {
		if err := b.configured(r); err != nil {
			return err
		}
		ended, blocked, err := b.sweep(r)
		if err != nil {
			return err
		}
		moved = append(append(moved[:0], ended...), blocked...)
		free, err := b.freeSlots(r)
		if err != nil {
			return err
		}
		rows, skipped, err := b.choose(r, ids, free)
		if err != nil {
			return err
		}
		lines = append(lines, skipped...)
		list, err := b.p.hosts(b.tx, r)
		if err != nil {
			return err
		}
		if ids != nil {
			for i := range list {
				list[i].MaxConcurrent = 0
				list[i] = list[i].WithJobs(list[i].CurrentJobs)
			}
		}
		refused, err := b.gateStale(r, rows)
		if err != nil {
			return err
		}
		lots, err := b.auction(list, without(rows, refused), nil)
		if err != nil {
			return err
		}
		next := 0
		for _, row := range rows {
			if line, ok := refused[row.ID]; ok {
				lines, moved = append(lines, line), append(moved, row.ID)
				continue
			}
			line, ok, err := b.dispatch(lots[next], nil)
			if err != nil {
				return err
			}
			if next++; !ok {
				moved = append(moved, row.ID)
			}
			lines = append(lines, line)
		}
		return nil
	})
	if err != nil {
		return err
	}
	p.placeAll(moved)
	p.projected()
	for _, line := range lines {
		if err := emit(line); err != nil {
			return err
		}
	}
	return nil
}

// choose picks the jobs to dispatch: the first of the queue, or those named that are ready. For the others named it says
// why not.
func (b *batch) choose(r *rules.Rules, ids []string, free int) (rows []indexRow, skipped []DispatchLine, err error) {
	if ids == nil {
		rows, err = b.claim(r, free)
		return rows, nil, err
	}
	ready, err := b.tx.ClaimIDs(ids)
	if err != nil {
		return nil, nil, err
	}
	room, err := b.room(r, len(ready))
	if err != nil {
		return nil, nil, err
	}
	ready = ready[:room]
	for _, id := range ids {
		if slices.ContainsFunc(ready, func(r indexRow) bool { return r.ID == id }) {
			continue
		}
		row, ok, err := b.tx.Job(id)
		if err != nil {
			return nil, nil, err
		}
		if !ok {
			return nil, nil, &UnknownJobError{id}
		}
		if row.Status != job.StatusPending {
			b.p.note("%s: is %s, and only pending jobs are dispatched", id, row.Status)
			continue
		}
		line := dispatchLine(row)
		line.Reason, err = b.p.waitReason(b.tx, row)
		if err != nil {
			return nil, nil, err
		}
		skipped = append(skipped, line)
	}
	return ready, skipped, nil
}

func dispatchLine(row indexRow) DispatchLine {
	return DispatchLine{JobID: row.ID, Status: string(row.Status), Host: row.Host, Attempt: row.Attempt,
		LeaseUntil: stampOf(row.LeaseUntil)}
}

// dispatch leases one job to the host that the auction gave it to. It is false where the job had to be blocked instead: its
// document cannot be read, or no host offers what it needs, so that it would stand before the others for ever.
func (b *batch) dispatch(l lot, runner *ledger.Runner) (DispatchLine, bool, error) {
	row := l.row
	if reason, err := b.overBudget(row); err != nil || reason != "" {
		line := dispatchLine(row)
		line.Reason = reason
		return line, true, err
	}
	switch {
	case l.damaged != nil:
		line, err := b.refuseDamaged(row, l.damaged)
		return line, false, err
	case l.host == "" && !l.offered:
		line, err := b.refuse(row, job.RequireOperatorAck, codeNoHost, l.reason)
		return line, false, err
	case l.host == "":
		line := dispatchLine(row)
		line.Reason = l.reason
		return line, true, nil
	}
	until := b.now.Add(time.Duration(row.TimeoutSeconds)*time.Second + leaseSlack)
	meta := ledger.Dispatched{Offset: l.bids.Offset, Bytes: l.bids.Bytes, Host: l.host, Attempt: row.Attempt + 1,
		LeaseUntil: job.FormatTime(until), Runner: runner, WaitedMS: max(0, b.now.Sub(row.ReadyAt).Milliseconds())}
	b.jobEvent("dispatch", job.JobDispatched, row.ID, row.TraceID, "approved", meta, &l.bids)
	return DispatchLine{JobID: row.ID, Status: string(row.Status), Host: l.host, Attempt: meta.Attempt,
		LeaseUntil: meta.LeaseUntil, Reason: l.reason}, true, b.failed
}

// offered reports whether one of the hosts, free or not, offers all that is needed.
func offered(list []hosts.Host, need []string) bool {
	return slices.ContainsFunc(list, func(h hosts.Host) bool { return len(h.Missing(need)) == 0 })
}

// hosts lists the known hosts. Of this machine the number of slots is what the rules say now, and its load is what the
// index says is leased. r may be nil.
func (p *Pipeline) hosts(k known, r *rules.Rules) ([]hosts.Host, error) {
	known, err := k.Hosts()
	if err != nil {
		return nil, err
	}
	list := make([]hosts.Host, 0, len(known))
	for _, h := range known {
		host := hosts.LocalHost(h.ID, h.MaxConcurrent, h.Capabilities)
		host.LastHeartbeat = stampOf(h.LastHeartbeat)
		if h.ID == LocalHost {
			host.LastHeartbeat = p.stamp() // this process is it
			if r != nil {
				host.MaxConcurrent = r.Config.Host.MaxConcurrent
			}
		}
		if h.Status != "online" {
			host.Status = hosts.Offline
		}
		list = append(list, host.WithJobs(h.CurrentJobs))
	}
	return list, nil
}

// hostSets lists what the hosts offer. What the ledger says of this one goes by the rules that it names, which are
// replaced only when something is written.
func (p *Pipeline) hostSets(k known, r *rules.Rules) ([][]string, error) {
	list, err := p.hosts(k, r)
	if err != nil {
		return nil, err
	}
	current := p.configured == r.Digest
	if !current {
		digest, err := loadedRules(k)
		if err != nil {
			return nil, err
		}
		current = digest == r.Digest
	}
	var sets [][]string
	for _, h := range list {
		if h.ID == LocalHost && !current {
			if h.Capabilities, err = localCapabilities(r); err != nil {
				return nil, err
			}
		}
		sets = append(sets, h.Capabilities)
	}
	if len(sets) == 0 {
		own, err := localCapabilities(r)
		if err != nil {
			return nil, err
		}
		sets = append(sets, own)
	}
	return sets, nil
}

// freeSlots is how many jobs the local host may still be given.
func (b *batch) freeSlots(r *rules.Rules) (int, error) {
	leased, err := b.tx.Leased(LocalHost)
	if err != nil {
		return 0, err
	}
	limit := r.Config.Host.MaxConcurrent
	if limit == 0 {
		return batchJobs, nil
	}
	return max(0, limit-len(leased)), nil
}
