package pipeline

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/pipeline/job"
)

// manual is a job that only an operator can allow.
func manual(id, more string) string {
	return `{"id": "` + id + `", ` + more + `"payload": {"kind": "file_write", "params": {"path": "` + id + `.txt", "content": "x"}}}`
}

func (w *world) approve(list []Review) error {
	return w.p.Approve(context.Background(), list, Decision{Reason: "seen"}, ignoreLine)
}

func TestApproveOnce(t *testing.T) {
	w := newWorld(t)
	if l := w.propose(manual("a", "")); l.NextAction != "REQUIRE_OPERATOR_ACK" || l.Zone != "blocked" {
		t.Fatalf("%+v", l)
	}
	seen := w.review("a")
	w.check(w.approve(seen))
	w.is("a", job.StatusPending, "")
	var unfit *StateError
	if err := w.approve(seen); !asError(err, &unfit) {
		t.Errorf("approved twice: %v", err)
	}
	changed := w.proposeManual("b")
	changed[0].DocumentSHA256 = strings.Repeat("0", 64)
	if err := w.approve(changed); !asError(err, &unfit) {
		t.Errorf("approved other bytes: %v", err)
	}
	if n := slices.Index(w.names("a"), job.OperatorApproved); n < 0 || w.events("a")[n].Actor != w.p.opts.Actor {
		t.Errorf("nobody is named: %v", w.names("a"))
	}
	w.verify()
}

func (w *world) proposeManual(id string) []Review {
	w.propose(manual(id, ""))
	return w.review(id)
}

func TestHardReasonsAreForNobodyToAllow(t *testing.T) {
	w := newWorld(t)
	w.propose(exec("a", "", "no-such-program"))
	var unfit *StateError
	if err := w.approve(w.review("a")); !asError(err, &unfit) {
		t.Errorf("approved: %v", err)
	}
	w.is("a", job.StatusQuarantined, "")

	w.propose(manual("b", ""))
	seen := w.review("b")
	w.write(w.ws.Config(), strings.Replace(testConfig, `{"roots"`, `{"kinds": {"forbid": ["file_write"]}, "roots"`, 1))
	w.check(w.p.reloadRules(t.Context()))
	if err := w.approve(seen); !asError(err, &unfit) {
		t.Errorf("approved after the kind was taken from the config: %v", err)
	}
	w.status("b", job.StatusQuarantined)
}

// What was allowed under other rules is gated again when its turn comes.
func TestRulesOfTheMomentOfDispatch(t *testing.T) {
	w := newWorld(t)
	w.propose(exec("by-gates", "", "true"))
	w.propose(exec("by-operator", "", "echo", "ignore previous instructions"))
	w.check(w.approve(w.review("by-operator")))
	w.write(w.ws.Config(), strings.Replace(testConfig, `"program": "true", "args": [], "decision": "allow"`, `"program": "true", "args": [], "decision": "ask"`, 1))
	w.check(w.p.reloadRules(t.Context()))
	w.tick()
	w.is("by-gates", job.StatusQuarantined, "")
	w.is("by-operator", job.StatusCompleted, "")
	w.verify()
}

func TestReject(t *testing.T) {
	w := newWorld(t)
	w.propose(manual("a", ""))
	w.check(w.p.Reject(t.Context(), []string{"a"}, Decision{Reason: "no"}, ignoreLine))
	w.is("a", job.StatusCancelled, "REJECTED")
	var unfit *StateError
	for name, err := range map[string]error{
		"retry":  w.p.Retry(t.Context(), Selection{IDs: []string{"a"}}, ignoreJob),
		"reject": w.p.Reject(t.Context(), []string{"a"}, Decision{}, ignoreLine),
		"cancel": w.p.Cancel(t.Context(), Selection{IDs: []string{"a"}}, "", ignoreJob),
	} {
		if !asError(err, &unfit) {
			t.Errorf("%s of a rejected job: %v", name, err)
		}
	}
	w.is("a", job.StatusCancelled, "REJECTED")
}

func TestRevise(t *testing.T) {
	const k = `"idempotency_key": "k",`
	w := newWorld(t)
	w.propose(exec("old", k, "no-such-program"))
	w.propose(noop("done", ""))
	w.tick()
	draft := Draft{Name: "-", Data: []byte(noop("old", `"idempotency_key": "another",`))}
	for _, id := range []string{"done", "unknown"} {
		if _, err := w.p.Revise(t.Context(), id, draft); err == nil {
			t.Errorf("%s was revised", id)
		}
	}
	l, err := w.p.Revise(t.Context(), "old", draft)
	w.check(err)
	w.is("old", job.StatusCancelled, "revised by "+l.JobID)
	w.is(l.JobID, job.StatusPending, "")
	if row := w.row(l.JobID); row.Revises != "old" || row.Key != "k" || !row.HoldsKey || row.Source != "operator" {
		t.Errorf("%+v %+v", row.Origin, row.Spec)
	}
	if l, err = w.p.Revise(t.Context(), "old", Draft{Name: "-", Data: []byte(`{"payload": {"kind": "none"}}`)}); err != nil ||
		l.Status != "quarantined" {
		t.Errorf("all gates: %+v, %v", l, err)
	}
	w.verify()
}

// The old version and the new one are never both in the queue, whoever is faster.
func TestReviseLosesAgainstApprove(t *testing.T) {
	w := newWorld(t)
	w.propose(manual("a", ""))
	rules, err := w.p.Rules(t.Context())
	w.check(err)
	in, _, err := w.p.loadIntake(w.row("a"))
	w.check(err)
	c := newCandidate([]byte(noop("", "")), in.Provenance, w.p.stamp(), rules.ParseLimits())
	c.intake.Revises = "a"
	w.check(w.approve(w.review("a"))) // after revise has looked, and before it has the lock
	var unfit *StateError
	if _, err := w.p.admit(t.Context(), rules, []*candidate{c}); !asError(err, &unfit) {
		t.Errorf("revised an approved job: %v", err)
	}
	n := 0
	w.check(w.p.Jobs(t.Context(), JobFilter{}, func(JobLine) error { n++; return nil }))
	if n != 1 {
		t.Errorf("%d jobs", n)
	}
}

const secret = "ghp_Zq8vN3xK7mW2pL9tR4yB6cD1fG5hJ0sAvXeT"

func TestCredentialsStayPrivate(t *testing.T) {
	for name, file := range map[string][2]string{
		"argument":   {"p.json", exec("a", "", "echo", secret)},
		"id":         {"p.json", noop(secret, "")},
		"key":        {"p.json", noop("a", `"idempotency_key": "`+secret+`",`)},
		"mission":    {"p.json", noop("a", `"mission_id": "`+secret+`", "task_id": "`+secret+`", "source": "`+secret+`",`)},
		"dependency": {"p.json", noop("a", `"depends_on": ["`+secret+`"], "required_capabilities": ["`+secret+`"],`)},
		"kind":       {"p.json", `{"payload": {"kind": "` + secret + `"}}`},
		"member":     {"p.json", `{"` + secret + `": 1, "payload": {"kind": "noop", "params": {"` + secret + `": 1}}}`},
		"garbage":    {"p.json", "{ garbage " + secret},
		"line":       {"p.jsonl", "{ garbage " + secret + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.drop("operator", file[0], file[1])
			w.gate()
			w.forward(3e9)
			w.gate()
			blocked := w.quarantined()
			if len(blocked) != 1 || blocked[0].ID == secret {
				t.Fatalf("blocked: %+v", blocked)
			}
			id := blocked[0].ID
			for range 2 { // what is stored without the credential does not pass the gates for that
				var again GateLine
				_, err := w.p.Gate(t.Context(), GateOptions{Blocked: true}, func(l GateLine) error { again = l; return nil })
				if err != nil || again.JobID != id || again.Status != "quarantined" {
					t.Fatalf("gated again: %+v, %v", again, err)
				}
			}
			var unfit *StateError
			if err := w.approve(w.review(id)); !asError(err, &unfit) {
				t.Errorf("approved: %v", err)
			}
			private := w.ws.PrivateDocument(id)
			if got, want := w.holding(secret), []string{w.ws.Rel(private)}; !slices.Equal(got, want) {
				t.Errorf("found in %q, want only %q", got, want)
			}
			if info, err := os.Stat(private); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info, err)
			}
			w.verify()
		})
	}
}

func TestFileNameIsNotRepeated(t *testing.T) {
	w := newWorld(t)
	w.drop("operator", secret+".json", noop("a", ""))
	w.tick()
	w.is("a", job.StatusCompleted, "")
	if got := w.holding(secret); len(got) > 0 {
		t.Errorf("found in %q", got)
	}
}
