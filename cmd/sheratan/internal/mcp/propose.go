package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/schemas"
)

// draftName stands for the argument of propose in errors of the pipeline.
const draftName = "proposal"

// verdictWithin is how long propose waits for the gates.
const verdictWithin = 5 * time.Second

// statusInbox is the status of what the gates have not seen yet.
const statusInbox = "inbox"

// received is what propose answers while nobody has judged the proposal.
type received struct {
	JobID   string `json:"job_id"`
	Status  string `json:"status"`
	Message string `json:"message"`
}

// propose puts a proposal into the inbox, its bytes as they came unless it has no id, and answers what the gates said.
func (s *server) propose(ctx context.Context, arguments json.RawMessage) (out any, err error) {
	if err := ownMembers(arguments); err != nil {
		return nil, err
	}
	s.loop.begin()
	err = s.with(ctx, func(p *pipeline.Pipeline) error {
		arrivals, err := p.Arrivals(ctx)
		if err != nil {
			return err
		}
		list, err := p.Submit(ctx, s.cfg.Source, []pipeline.Draft{{Name: draftName, Data: arguments}})
		if err != nil {
			return err
		}
		arrivals.Expect(list[0])
		id := ""
		_, err = until(ctx, verdictWithin, func() (bool, error) {
			ids, err := arrivals.Jobs(ctx)
			if err != nil || ids[0] == "" {
				return false, err
			}
			id = ids[0]
			r, err := p.Reply(ctx, id)
			out = r
			return judged(r), err
		})
		if id == "" && err == nil {
			out = received{list[0].JobID, statusInbox, "it lies in the inbox and is judged when the workspace does its next tick; wait waits for that"}
		}
		return err
	})
	return out, err
}

// judged reports whether the gates have seen a job.
func judged(r pipeline.Reply) bool {
	return r.Verdict != "" || r.Status.Final() || r.Status == job.StatusQuarantined
}

// ownMembers refuses what would say where a proposal comes from. The schema of the tool has none of it, but not every client
// looks at that.
func ownMembers(arguments json.RawMessage) error {
	v, err := schemas.Parse(arguments, schemas.DefaultLimits)
	if err != nil {
		return err
	}
	members, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("the proposal is no JSON object; want {\"payload\": {\"kind\": …, \"params\": {…}}}")
	}
	for name := range members {
		if slices.Contains(notForAgents, name) {
			return fmt.Errorf("the proposal: /%s: is not yours to set; leave it out", name)
		}
	}
	return nil
}
