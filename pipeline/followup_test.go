package pipeline

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
)

// llmConfig is testConfig with a model that jobs may ask, which answers with what the script prints.
func llmConfig(script string) string {
	text := strings.Replace(testConfig, `"gates": {`, `"gates": {"kinds": {"allow": ["noop", "exec", "llm"]}, "models": ["m"], `, 1)
	return strings.TrimSuffix(text, "}") + `, "relay": {"models": {"m": {"backend": "command", "timeout_seconds": 20,
  "command": ["/bin/sh", "-c", "` + strings.ReplaceAll(script, `"`, `\"`) + `"]}}}}`
}

func ask(id string) string {
	return fmt.Sprintf(`{"id": "%s", "payload": {"kind": "llm", "params": {"model": "m", "prompt": "plan"}}}`, id)
}

const answersPlan = `printf '{"proposals": [{"id": "one", "payload": {"kind": "noop", "params": {}}}, {"payload": {"kind": "noop", "params": {}}}, 7]}'`

// TestFollowUpsOnce: what an answer proposes becomes jobs exactly once, whatever a crash leaves of the file that holds it.
func TestFollowUpsOnce(t *testing.T) {
	w := newWorld(t)
	w.write(w.ws.Config(), llmConfig(answersPlan))
	w.p = w.open()
	w.drop("agent", "plan.json", ask("plan"))
	w.drop("agent", "waits.json", exec("waits", `"depends_on": ["nobody"],`, "true"))
	w.tick()
	w.is("plan", job.StatusCompleted, "")
	w.is("one", job.StatusQuarantined, "")
	children := func() int {
		n := 0
		w.check(w.p.view(t.Context(), func(r *index.Reader) (err error) { n, err = r.Children("plan"); return err }))
		return n
	}
	if n := children(); n != 3 {
		t.Fatalf("%d jobs came out of it", n)
	}
	dir := w.ws.FollowUps()
	put := func(name, text string) string {
		path := filepath.Join(dir, name)
		w.write(path, text)
		return path
	}
	gone := func(path string, want bool) {
		t.Helper()
		if _, err := os.Stat(path); (err != nil) != want {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
	}
	// A crash between the jobs and the removal of the file.
	again := put("plan.1.json", `{"job_id":"plan","attempt":1,"proposals":[{"id":"one","payload":{"kind":"noop","params":{}}},{"payload":{"kind":"noop","params":{}}},7]}`)
	// An attempt that did not complete the job, a job that there is not, one that is not over, and garbage.
	other := put("plan.2.json", `{"job_id":"plan","attempt":2,"proposals":[{"id":"two","payload":{"kind":"noop","params":{}}}]}`)
	nobody := put("nobody.1.json", `{"job_id":"nobody","attempt":1,"proposals":[{"id":"three","payload":{"kind":"noop","params":{}}}]}`)
	waiting := put("waits.1.json", `{"job_id":"waits","attempt":1,"proposals":[{"id":"four","payload":{"kind":"noop","params":{}}}]}`)
	garbage := put("x", "garbage")
	w.gate()
	if n := children(); n != 3 {
		t.Errorf("%d jobs came out of it, after all", n)
	}
	for _, id := range []string{"two", "three", "four"} {
		if _, ok, err := w.p.find(t.Context(), id); ok || err != nil {
			t.Errorf("%s is a job: %v", id, err)
		}
	}
	gone(again, true)
	gone(other, true)
	gone(nobody, true)
	gone(waiting, false)
	gone(garbage, false)
	w.verify()
}
