package pipeline

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
)

// byDay moves the files of a job to where versions before the folders of hours put them.
func (w *world) byDay(id string) {
	w.t.Helper()
	found, err := filepath.Glob(w.ws.Results() + "/*/*/*/*/" + id + ".*")
	w.check(err)
	if len(found) == 0 {
		w.t.Fatalf("%s has no files", id)
	}
	for _, path := range found {
		w.check(os.Rename(path, filepath.Join(filepath.Dir(path), "..", filepath.Base(path))))
	}
}

// TestResultsByDayStayWhereTheyAre: a result that an earlier version wrote is named, replaced and removed where it lies.
func TestResultsByDayStayWhereTheyAre(t *testing.T) {
	w := newWorld(t)
	w.propose(exec("good", "", "true"))
	w.propose(exec("bad", `"max_retries":0,`, "false"))
	w.tick()
	for _, id := range []string{"good", "bad"} {
		if rel := strings.TrimPrefix(w.p.placeOf(w.row(id)), w.ws.Results()+"/"); strings.Count(rel, "/") != 4 {
			t.Errorf("%s lies in %s, want a folder for the hour", id, rel)
		}
		w.byDay(id)
		w.onePlace(id) // what why says
	}

	w.check(w.p.place(w.row("good"))) // as the next command does after a crash
	w.onePlace("good")
	reply, err := os.ReadFile(w.ws.Reply("operator", "good"))
	w.check(err)
	if want := w.ws.Rel(w.p.placeOf(w.row("good"))); !strings.Contains(string(reply), want) {
		t.Errorf("the reply does not name %s: %s", want, reply)
	}

	w.check(w.p.Retry(context.Background(), Selection{IDs: []string{"bad"}}, ignoreJob))
	w.onePlace("bad")
	w.tick()
	w.is("bad", job.StatusFailed, w.row("bad").Error)
	w.verify()
}

// TestOutputOfDeadAttempts: what an attempt without a result has written is found in the folder of the hour in which it began, in the
// next one, and where earlier versions put it.
func TestOutputOfDeadAttempts(t *testing.T) {
	w := newWorld(t)
	started := time.Date(2026, 3, 4, 23, 59, 59, 0, time.UTC)
	for name, dir := range map[string]string{"hour": "2026/03/04/23", "next": "2026/03/05/00", "day": "2026/03/04", "midnight": "2026/03/05"} {
		want := filepath.Join(w.ws.Results(), dir, name+".2.stdout")
		w.write(want, "text")
		if got := w.p.unfinishedFile(name, 2, started, "stdout"); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if got, want := w.p.unfinishedFile("none", 1, started, "stderr"), w.ws.ResultFile("none", started, ".1.stderr"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
