package pipeline

import (
	"context"

	"github.com/sheratan/sheratan/gates/audit"
	"github.com/sheratan/sheratan/runtime/index"
)

// audit does what second opinions say that have come, and asks for those that are due. Nothing waits for an answer: allowed says
// that a job was let into the queue, asking that a tick that has nothing else to do stays for what is out.
func (t *ticker) audit(ctx context.Context) (allowed, asking bool, err error) {
	r := t.engine.rules
	if t.o.NoAudits || len(r.Config.Audit.Auditors) == 0 {
		return false, false, nil
	}
	if t.audits != nil && t.audits.out == 0 && t.audits.rules.Digest != r.Digest {
		t.audits.close()
		t.audits = nil
	}
	if t.audits == nil {
		t.audits = t.p.newAuditors(ctx, r)
		t.audits.wake = t.engine.runner.signal
	}
	a, before := t.audits, t.line.Approved
	for len(a.answers) > 0 {
		if err := a.wait(t.audited); err != nil {
			return false, false, err
		}
	}
	var due []index.Audit
	if room := auditsAtOnce - a.out; room > 0 {
		err := t.p.view(ctx, func(x *index.Reader) (err error) {
			due, err = x.DueAudits(t.p.now(), room)
			return err
		})
		if err != nil {
			return false, false, err
		}
	}
	for _, d := range due {
		if err := a.ask(ctx, d.JobID, false, false, t.audited); err != nil {
			return false, false, err
		}
	}
	return t.line.Approved > before || len(due) == auditsAtOnce && a.out == 0, a.out > 0, nil
}

// audited counts what was decided.
func (t *ticker) audited(l AuditLine) error {
	if l.Decision == audit.Allow {
		t.line.Approved++
	}
	return nil
}

// endAudits gives up the questions that are out, and records that.
func (t *ticker) endAudits() error {
	if t.audits == nil {
		return nil
	}
	a := t.audits
	t.audits = nil
	a.cancel()
	defer a.close()
	for a.out > 0 {
		if err := a.wait(t.audited); err != nil {
			return err
		}
	}
	return nil
}
