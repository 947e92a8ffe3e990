package pipeline

import (
	"context"
	"errors"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/workspace"
	"github.com/sheratan/sheratan/schemas"
)

// errFatal is why a proposal is set aside that two processes died of: the one that claimed it, and one that tried it by itself.
var errFatal = errors.New("two processes died while they judged it, so it is not read again; its bytes lie in .sheratan/private under the id of this job, and can be proposed anew once the cause is known")

// try parses and judges a proposal of a claim that a dead process has left, by itself and for nothing but to see whether this process
// survives it. What an earlier one died of in the same place is set aside unread: it is returned as a candidate that is blocked.
// Otherwise one proposal would stop every tick for ever, since claims of the dead come first.
func (in *intake) try(ctx context.Context, t *workspace.Trial, line int, raw []byte, prov job.Provenance) (*candidate, error) {
	if t.Died() == line {
		digest := schemas.Digest(raw)
		return &candidate{
			intake: job.Intake{Schema: job.SchemaIntake, ReceivedAt: in.p.stamp(), Provenance: prov,
				Raw: &job.Raw{SHA256: digest, Bytes: int64(len(raw))}},
			raw:           raw,
			payloadSHA256: digest,
			broken:        errFatal,
			recovered:     true,
		}, nil
	}
	if !in.warm {
		// What the gates prepare when they are first used takes longer than most proposals, and must not be taken for one.
		in.warm = true
		_ = in.parse([]byte(`{"payload":{"kind":"exec","params":{"argv":["true"]}}}`), nil, prov, in.rules.ParseLimits()).judge(ctx, in.rules, gates.Facts{})
	}
	if err := t.Begin(line); err != nil {
		return nil, err
	}
	// What is wrong with it is for the batch to say.
	_ = in.parse(raw, nil, prov, in.rules.ParseLimits()).judge(ctx, in.rules, gates.Facts{})
	return nil, t.Done()
}
