package pipeline

import (
	"encoding/json"

	"github.com/sheratan/sheratan/hosts"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
	"github.com/sheratan/sheratan/schemas"
)

// Bids is the document that says why a job went to a host (sheratan.bids/v1). It names no job: those that were chosen for alike
// share it.
type Bids struct {
	Schema string      `json:"$schema"`
	Need   []string    `json:"need"` // the capabilities that were asked for
	Bids   []hosts.Bid `json:"bids"` // of all hosts that were asked
	Host   string      `json:"host"` // the one chosen
	Reason string      `json:"reason"`
}

// SchemaBids is the value of "$schema" in Bids.
const SchemaBids = "sheratan.bids/v1"

// bidStore says where this process has stored bids, by digest: on one machine they hardly ever differ, and a document for each
// dispatch would be one more sync for each batch.
type bidStore map[string]ledger.Ref

// mostBids bounds a bidStore.
const mostBids = 1000

// lot is what the auction said of one job.
type lot struct {
	row     indexRow
	damaged error  // its document cannot be read
	offered bool   // some host, free or not, offers all that it needs
	host    string // "" is none
	reason  string
	bids    ledger.Ref // where a host was chosen
}

// auction chooses a host for each of the jobs and stores the bids, with one sync for all. With runner the only host is this
// machine, and the process that takes the jobs holds the slots for them already.
func (b *batch) auction(list []hosts.Host, rows []indexRow, runner *ledger.Runner) ([]lot, error) {
	lots := make([]lot, len(rows))
	digests := make([]string, len(rows))
	var docs [][]byte
	fresh := map[string]int{} // digest to place in docs
	if len(b.p.bids) > mostBids || b.p.bids == nil {
		b.p.bids = bidStore{}
	}
	for i, row := range rows {
		lots[i] = lot{row: row}
		in, prop, err := b.p.loadIntake(row)
		if damaged(err) {
			lots[i].damaged = err
			continue
		}
		if err != nil {
			return nil, err
		}
		need := job.New(in, prop).RequiredCapabilities
		chosen, bids, reason := hosts.Pick(list, need)
		lots[i].host, lots[i].reason = chosen.ID, reason
		if chosen.ID == "" {
			lots[i].offered = offered(list, need)
			continue
		}
		if runner != nil {
			bids[0].Why = "has a slot free"
			reason = chosen.ID + " is the only host that can take it: " + bids[0].Why
		} else {
			take(list, chosen.ID)
		}
		if need == nil {
			need = []string{}
		}
		doc, err := schemas.Marshal(Bids{Schema: SchemaBids, Need: need, Bids: bids, Host: chosen.ID, Reason: reason})
		if err != nil {
			return nil, err
		}
		digests[i] = schemas.Digest(doc)
		if _, ok := fresh[digests[i]]; !ok && b.p.bids[digests[i]] == (ledger.Ref{}) {
			fresh[digests[i]] = len(docs)
			docs = append(docs, doc)
		}
	}
	refs, err := b.store(docs...)
	if err != nil {
		return nil, err
	}
	for digest, at := range fresh {
		b.p.bids[digest] = refs[at]
	}
	for i := range lots {
		lots[i].bids = b.p.bids[digests[i]]
	}
	return lots, nil
}

// take gives one of the hosts one job more.
func take(list []hosts.Host, id string) {
	for i := range list {
		if list[i].ID == id {
			list[i] = list[i].WithJobs(list[i].CurrentJobs + 1)
		}
	}
}

// without returns the jobs that were not refused.
func without(rows []indexRow, refused map[string]DispatchLine) []indexRow {
	if len(refused) == 0 {
		return rows
	}
	var rest []indexRow
	for _, row := range rows {
		if _, ok := refused[row.ID]; !ok {
			rest = append(rest, row)
		}
	}
	return rest
}

// bidsOf reads the bids that a dispatch names. It is false where there are none, or they cannot be read: verify says so.
func (p *Pipeline) bidsOf(ev *ledger.Event) (bids Bids, ok bool) {
	ref, ok, err := ledger.RefOf(ev)
	if err != nil || !ok {
		return bids, false
	}
	doc, err := p.docs.Read(ref)
	return bids, err == nil && json.Unmarshal(doc, &bids) == nil
}
