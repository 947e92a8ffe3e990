package pipeline

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
)

// replies lists the jobs of the operator that have a reply.
func (w *world) replies() (ids []string) {
	w.t.Helper()
	names, err := os.ReadDir(w.ws.Replies("operator"))
	w.check(err)
	for _, n := range names {
		ids = append(ids, strings.TrimSuffix(n.Name(), ".json"))
	}
	return ids
}

func (w *world) wantReplies(when string, want ...string) {
	w.t.Helper()
	w.tick()
	if got := w.replies(); !slices.Equal(got, want) {
		w.t.Errorf("%s: replies to %q, want %q", when, got, want)
	}
}

// TestRepliesGoWithTime: what is over keeps its reply for a week, and what is not over has it. A job that was taken up again counts from
// its new end.
func TestRepliesGoWithTime(t *testing.T) {
	const day = 24 * time.Hour
	w := newWorld(t)
	w.propose(exec("blocked", "", "rm", "-rf", "/"))
	w.propose(exec("bad", `"max_retries":0,`, "false"))
	w.propose(exec("good", "", "true"))
	w.wantReplies("at once", "bad", "blocked", "good")
	w.forward(5 * day)
	w.check(w.p.Retry(context.Background(), Selection{IDs: []string{"bad"}}, ignoreJob))
	w.propose(noop("new", ""))
	w.wantReplies("after five days", "bad", "blocked", "good", "new")
	w.forward(3 * day)
	w.wantReplies("after eight days", "bad", "blocked", "new")
	w.check(os.Remove(w.ws.Answered())) // as after a restore, or a loss
	w.forward(5 * day)
	w.wantReplies("after thirteen days", "blocked")

	w.is("good", job.StatusCompleted, "")
	w.check(w.p.place(w.row("good"))) // a later answer is there again
	if !exists(w.ws.Reply("operator", "good")) {
		t.Error("there is no reply")
	}
	w.verify()
}

// TestRepliesAreKeptForEver: with 0, and a reply goes when the config says so again.
func TestRepliesAreKeptForEver(t *testing.T) {
	w := newWorld(t)
	config, err := os.ReadFile(w.ws.Config())
	w.check(err)
	set := func(days string) {
		w.write(w.ws.Config(), strings.Replace(string(config), `"operators"`, `"retention": {"replies": `+days+`}, "operators"`, 1))
		w.p = w.open()
	}
	set("0")
	w.propose(noop("old", ""))
	w.tick()
	w.forward(1000 * 24 * time.Hour)
	w.wantReplies("for ever", "old")
	set("999")
	w.wantReplies("999 days")
}

// TestRepliesOfAgentsGo: an agent with a user of its own loses the copy of the result as well, and cannot lead the removal elsewhere.
func TestRepliesOfAgentsGo(t *testing.T) {
	w := newWorld(t)
	dir := w.ws.Replies("agent")
	outside := filepath.Join(w.ws.Root(), "work", "x.json")
	w.write(outside, "{}")
	w.write(filepath.Join(dir, "x.json"), "{}")
	w.write(filepath.Join(dir, "results", "x.json"), "{}")
	w.check(w.ws.DropReply("agent", "x"))
	for _, path := range []string{"x.json", "results/x.json"} {
		if exists(filepath.Join(dir, path)) {
			t.Errorf("%s is left", path)
		}
	}
	w.check(os.RemoveAll(filepath.Join(dir, "results")))
	w.check(os.Symlink(filepath.Dir(outside), filepath.Join(dir, "results")))
	if err := w.ws.DropReply("agent", "x"); err == nil || !exists(outside) {
		t.Errorf("%v, and the file outside is there: %t", err, exists(outside))
	}
	w.check(w.ws.DropReply("nobody", "x"))
}

// TestReplyThatCannotBeRemovedIsTriedAgain: also where others went meanwhile, which it does not hold up.
func TestReplyThatCannotBeRemovedIsTriedAgain(t *testing.T) {
	const day = 24 * time.Hour
	w := newWorld(t)
	w.propose(noop("stuck", ""))
	w.propose(noop("free", ""))
	w.wantReplies("at once", "free", "stuck")
	path := w.ws.Reply("operator", "stuck")
	w.check(os.Remove(path))
	w.write(filepath.Join(path, "in the way"), "")
	w.forward(8 * day)
	w.wantReplies("after eight days", "stuck")
	if len(w.warned) == 0 {
		t.Error("nobody was warned")
	}
	w.warned = nil
	w.check(os.RemoveAll(path))
	w.write(path, "{}")
	w.forward(day)
	w.wantReplies("after nine days")
}

// TestRepliesOfAnOlderLedger: the note of how far replies were looked through may be of a ledger that had gone further.
func TestRepliesOfAnOlderLedger(t *testing.T) {
	w := newWorld(t)
	w.propose(noop("old", ""))
	w.wantReplies("at once", "old")
	w.write(w.ws.Answered(), "1000000")
	w.forward(8 * 24 * time.Hour)
	w.wantReplies("after eight days")
}

// TestRepliesGoInPortions: many replies that are due do not hold up what begins and ends, and whoever waits for a job of his own
// removes none.
func TestRepliesGoInPortions(t *testing.T) {
	const jobs = 2500 // have more events than a portion
	w := newWorld(t)
	var lines strings.Builder
	for i := range jobs {
		lines.WriteString(noop(fmt.Sprint("n", i), "") + "\n")
	}
	w.drop("operator", "all.ready.jsonl", lines.String())
	w.tick()
	w.forward(8 * 24 * time.Hour)
	before := len(w.replies())
	arrivals, err := w.p.Arrivals(t.Context())
	w.check(err)
	list, err := w.p.Submit(t.Context(), "operator", []Draft{{Name: "test", Data: []byte(noop("mine", ""))}})
	w.check(err)
	arrivals.Expect(list[0])
	w.check(arrivals.Wait(t.Context(), WaitOptions{Drive: true}, func(job.Result) error { return nil }))
	if n := len(w.replies()); n != before+1 {
		t.Errorf("a tick for one job left %d of %d replies", n, before+1)
	}
	r, err := w.p.Rules(t.Context())
	w.check(err)
	passes := 0
	for more := true; more; passes++ {
		more, err = w.p.retain(t.Context(), r, w.p.now(), true)
		w.check(err)
		if n := len(w.replies()); more && (n < 2 || n == before+1) {
			t.Errorf("%d replies are left after pass %d", n, passes)
		}
	}
	if n := len(w.replies()); n != 1 || passes < 2 {
		t.Errorf("%d replies are left after %d passes", n, passes)
	}
}
