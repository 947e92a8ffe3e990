package pipeline

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sheratan/sheratan/gates/audit"
	"github.com/sheratan/sheratan/pipeline/job"
)

// auditConfig is testConfig with a rule for a program about which a policy wants a second opinion, and a model that is a shell
// script: it gets the nonce as $nonce.
func auditConfig(script string) string {
	text := strings.Replace(testConfig, `"exec": [`, `"exec": [{"program": "sh", "args": ["-c", "..."], "decision": "allow", "unsafe": true},`, 1)
	command := `nonce=$(sed 's/.*The nonce is \\([0-9a-f]*\\).*/\\1/'); ` + script
	return strings.TrimSuffix(text, "}") + `, "audit": {"auditors": ["m"]}, "relay": {"models": {"m": {"backend": "command",
  "command": ["/bin/sh", "-c", "` + strings.ReplaceAll(command, `"`, `\"`) + `"], "timeout_seconds": 20}}}}`
}

const saysAllow = `printf '{"nonce":"%s","decision":"ALLOW","severity":"low","violations":[],"message":"fine"}' $nonce`

func auditWorld(t *testing.T, script string) *world {
	t.Helper()
	w := newWorld(t)
	w.write(w.ws.Config(), auditConfig(script))
	w.p = w.open()
	return w
}

// inline is a job about which a policy wants a second opinion.
func inline(id string) string { return exec(id, "", "sh", "-c", "exit 0") }

func (w *world) audits(o AuditOptions) (lines []AuditLine) {
	w.t.Helper()
	w.check(w.p.Audit(w.t.Context(), o, func(l AuditLine) error { lines = append(lines, l); return nil }))
	return lines
}

// asked brings a job to where somebody is being asked about it, and returns the question, which nobody has put to anybody.
func (w *world) asked(id string) (*auditors, *opinion) {
	w.t.Helper()
	if l := w.propose(inline(id)); l.NextAction != string(job.RequireLLM2) {
		w.t.Fatalf("%+v", l)
	}
	r, err := w.p.Rules(w.t.Context())
	w.check(err)
	a := w.p.newAuditors(w.t.Context(), r)
	w.t.Cleanup(a.close)
	var o *opinion
	w.check(w.p.transact(w.t.Context(), func(b *batch) (err error) {
		_, o, err = a.begin(b, id, false, false)
		return err
	}))
	if o == nil {
		w.t.Fatal("nobody is to be asked")
	}
	return a, o
}

// TestAuditReclaimed: a question whose process died is asked again, not before its time is over, and as another attempt.
func TestAuditReclaimed(t *testing.T) {
	w := auditWorld(t, saysAllow)
	w.asked("a")
	if lines := w.audits(AuditOptions{}); len(lines) != 0 {
		t.Fatalf("while somebody may still be asking: %+v", lines)
	}
	w.forward(51 * time.Second)
	lines := w.audits(AuditOptions{})
	if len(lines) != 1 || lines[0].Attempt != 1 || !strings.Contains(lines[0].Error, "is gone") || lines[0].Decision != audit.Pause {
		t.Fatalf("%+v", lines)
	}
	w.forward(61 * time.Second)
	if lines = w.audits(AuditOptions{}); len(lines) != 1 || lines[0].Decision != audit.Allow || lines[0].Attempt != 2 {
		t.Fatalf("%+v", lines)
	}
	w.is("a", job.StatusPending, "")
	w.verify()
}

// TestAuditTooLate: an answer changes nothing that was decided meanwhile, nor one to a question that was given up.
func TestAuditTooLate(t *testing.T) {
	w := auditWorld(t, saysAllow)
	says := audit.Report{Decision: audit.Allow, Severity: "low", Violations: []audit.Violation{}, Message: "fine"}
	never := func(l AuditLine) error { t.Errorf("%+v", l); return nil }
	a, o := w.asked("a")
	w.check(w.p.Reject(t.Context(), []string{"a"}, Decision{Reason: "no"}, ignoreLine))
	o.report, o.model = says, "m"
	w.check(a.settle(o, never))
	w.is("a", job.StatusCancelled, "REJECTED")

	a, o = w.asked("b")
	w.forward(51 * time.Second)
	w.audits(AuditOptions{}) // given up
	o.report, o.model = says, "m"
	w.check(a.settle(o, never))
	w.is("b", job.StatusQuarantined, "")

	// The control: the same answer in time.
	a, o = w.asked("c")
	o.report, o.model = says, "m"
	w.check(a.settle(o, func(AuditLine) error { return nil }))
	w.is("c", job.StatusPending, "")
	w.verify()
}

// TestTickDoesNotWaitForAuditors: what can run runs while a model thinks.
func TestTickDoesNotWaitForAuditors(t *testing.T) {
	w := auditWorld(t, "sleep 1; "+saysAllow)
	w.drop("agent", "a.json", inline("a"))
	w.drop("agent", "b.json", exec("b", "", "true"))
	w.drop("agent", "c.json", exec("c", `"depends_on": ["b"],`, "true"))
	w.tick()
	w.is("a", job.StatusCompleted, "")
	w.is("b", job.StatusCompleted, "")
	w.is("c", job.StatusCompleted, "")
	at := map[string]int64{}
	for _, id := range []string{"a", "b", "c"} {
		for _, ev := range w.events(id) {
			at[id+" "+string(ev.Event)] = ev.Seq
		}
	}
	if answer := at["a AUDIT_REPORTED"]; answer == 0 || at["b JOB_COMPLETED"] > answer || at["c JOB_COMPLETED"] > answer {
		t.Errorf("they waited for the answer: %v", at)
	}
	w.verify()
}

// TestAuditGivenUp: who is interrupted while somebody is asked loses nothing, and no attempt.
func TestAuditGivenUp(t *testing.T) {
	w := auditWorld(t, "sleep 20; "+saysAllow)
	w.propose(inline("a"))
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if err := w.p.Audit(ctx, AuditOptions{}, func(AuditLine) error { return nil }); err == nil {
		t.Error("no error where it was interrupted")
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	if names := w.names("a"); !slices.Equal(names[len(names)-2:], []job.EventName{job.AuditRequested, job.AuditFailed}) {
		t.Errorf("%v", names)
	}
	w.write(w.ws.Config(), auditConfig(saysAllow))
	w.p = w.open()
	if lines := w.audits(AuditOptions{}); len(lines) != 1 || lines[0].Decision != audit.Allow || lines[0].Attempt != 1 {
		t.Errorf("%+v", lines)
	}
}

// TestAuditorDoesNotWaiveForever: what was waived is not any more where nobody may.
func TestAuditorDoesNotWaiveForever(t *testing.T) {
	w := auditWorld(t, saysAllow)
	w.propose(exec("control", `"depends_on": ["before"],`, "sh", "-c", "exit 0"))
	w.audits(AuditOptions{IDs: []string{"control"}})
	w.drop("agent", "before.json", noop("before", ""))
	w.tick()
	w.is("control", job.StatusCompleted, "")
	w.propose(exec("a", `"depends_on": ["later"],`, "sh", "-c", "exit 0"))
	if lines := w.audits(AuditOptions{IDs: []string{"a"}}); len(lines) != 1 || lines[0].Decision != audit.Allow {
		t.Fatalf("%+v", lines)
	}
	w.write(w.ws.Config(), strings.Replace(auditConfig(saysAllow), `"gates": {`, `"gates": {"levels": {"default/inline-code": "hard"}, `, 1))
	w.p = w.open()
	w.drop("agent", "later.json", noop("later", ""))
	w.tick()
	w.is("a", job.StatusQuarantined, "")
	w.verify()
}
