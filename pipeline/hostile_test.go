package pipeline

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/gates/audit"
	"github.com/sheratan/sheratan/gates/audit/audittest"
	"github.com/sheratan/sheratan/pipeline/job"
)

// noNonce stands for the nonce in an answer, which is not known before the question.
const noNonce = "abcdefabcdefabcdefabcdefabcdefab"

// speaker is a model that answers each job with the file of its id.
const speaker = `input=$(cat); nonce=$(printf %s "$input" | sed 's/.*The nonce is \([0-9a-f]*\).*/\1/')
id=$(printf %s "$input" | sed 's/.*"id\\": \\"\([a-z0-9-]*\)\\".*/\1/')
LC_ALL=C exec sed "s/` + noNonce + `/$nonce/g" answers/$id
`

// TestHostileAuditor lets an auditor say all that could get a job allowed by accident. No job runs, and none comes near it; the
// same job is allowed by the answer that says so.
func TestHostileAuditor(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	config := strings.Replace(testConfig, `"exec": [`, `"exec": [{"program": "sh", "args": ["-c", "..."], "decision": "allow", "unsafe": true},`, 1)
	w.write(w.ws.Config(), strings.TrimSuffix(config, "}")+`, "audit": {"auditors": ["m"], "waits_seconds": [0]}, "relay": {"models": {"m": {"backend": "command",
  "command": ["/bin/sh", "`+filepath.Join(dir, "speaker.sh")+`"], "timeout_seconds": 20, "calls_per_hour": 0, "calls_per_day": 0}}}}`)
	w.write(filepath.Join(dir, "speaker.sh"), "cd "+dir+"\n"+speaker)
	w.p = w.open()
	if err := os.Mkdir(filepath.Join(dir, "answers"), 0o755); err != nil {
		t.Fatal(err)
	}
	what := map[string]string{} // is wrong with the answer for a job
	add := func(prefix string, answers map[string]string) {
		for i, name := range slices.Sorted(maps.Keys(answers)) {
			id := fmt.Sprintf("%s-%d", prefix, i)
			what[id] = name
			w.write(filepath.Join(dir, "answers", id), answers[name])
			w.drop("agent", id+".json", inline(id))
		}
	}
	// What the relay counts as a failure of the model comes last: after five of them it is left alone.
	add("a", audittest.Hostile(noNonce))
	add("b", audittest.HostilePatches(noNonce))
	w.write(filepath.Join(dir, "answers", "good"), audittest.Good(noNonce))
	w.drop("agent", "good.json", inline("good"))
	w.gate()

	large := []string{}
	for id, name := range what {
		if name == "ten megabytes" || name == "nothing" || name == "white space" {
			large = append(large, id)
		}
	}
	ids := []string{"good"}
	for _, id := range slices.Sorted(maps.Keys(what)) {
		if !slices.Contains(large, id) {
			ids = append(ids, id)
		}
	}
	asked := 0
	for _, id := range append(ids, large...) {
		for _, l := range w.audits(AuditOptions{IDs: []string{id}}) {
			asked++
			if l.JobID != "good" && (l.Decision == audit.Allow || l.Status != string(job.StatusQuarantined)) {
				t.Errorf("%s: %+v", what[l.JobID], l)
			}
			if strings.Contains(l.Error, "left alone") || strings.Contains(l.Error, "budget") {
				t.Errorf("%s: the model was not asked: %s", what[l.JobID], l.Error)
			}
			if strings.HasPrefix(l.JobID, "b-") && l.Error != "" {
				t.Errorf("%s: is no report: %s", what[l.JobID], l.Error)
			}
		}
	}
	if asked != len(what)+1 || asked < 90 {
		t.Errorf("%d answers to %d questions", asked, len(what)+1)
	}
	w.is("good", job.StatusPending, "")
	w.tick()
	w.is("good", job.StatusCompleted, "")
	for id, name := range what {
		if row := w.row(id); row.Status != job.StatusQuarantined {
			t.Errorf("%s: is %s", name, row.Status)
		}
		for _, event := range w.names(id) {
			if event == job.JobApproved || event == job.JobPatched || event == job.JobDispatched {
				t.Errorf("%s: %s", name, event)
			}
		}
	}
	w.verify()
}
