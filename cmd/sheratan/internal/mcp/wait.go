package mcp

import (
	"context"
	"fmt"
	"time"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

// waitLimit bounds one call of wait; clients give up on calls that take much longer.
const waitLimit, waitDefault = 300, 60

type waitInput struct {
	JobID   string `json:"job_id" jsonschema:"the job_id that propose answered"`
	Seconds *int   `json:"seconds,omitempty" jsonschema:"how long to wait, from 0 to 300; left out, 60"`
}

// waited is the answer of wait: the reply as propose gives it, and what is still waited for.
type waited struct {
	pipeline.Reply
	Done     bool     `json:"done"` // over, or blocked until somebody decides
	WaitsFor []string `json:"waits_for,omitempty"`
}

func (s *server) wait(ctx context.Context, in waitInput) (any, error) {
	seconds := waitDefault
	if in.Seconds != nil {
		seconds = *in.Seconds
	}
	if seconds < 0 || seconds > waitLimit {
		return nil, fmt.Errorf("seconds: %d is not between 0 and %d; call wait again for longer", seconds, waitLimit)
	}
	s.loop.begin()
	var out waited
	err := s.with(ctx, func(p *pipeline.Pipeline) error {
		done, err := until(ctx, time.Duration(seconds)*time.Second, func() (bool, error) {
			known, err := p.OwnOrComing(ctx, s.cfg.Source, in.JobID)
			if err != nil || !known {
				return false, err
			}
			out.Reply, err = p.Reply(ctx, in.JobID)
			return out.Status.Final() || out.Status == job.StatusQuarantined, err
		})
		if err != nil {
			return err
		}
		out.Done = done
		if out.JobID == "" {
			out.Reply = pipeline.Reply{Schema: job.SchemaReply, JobID: in.JobID, Status: statusInbox, Message: "not judged yet",
				Reasons: []pipeline.ReplyReason{}, Suggestions: []job.Patch{}}
			return nil
		}
		if out.Status.Final() {
			return nil
		}
		w, err := p.Why(ctx, in.JobID)
		out.WaitsFor = w.WaitsFor
		return err
	})
	return out, err
}
