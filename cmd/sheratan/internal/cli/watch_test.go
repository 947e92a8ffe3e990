package cli

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sheratan/sheratan/hosts"
	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

func busy() pipeline.Live {
	l := pipeline.Live{Waiting: [4]int{0, 2, 5000, 1}, More: true}
	l.State, l.Jobs = "running", map[string]int{"running": 200, "pending": 9000}
	l.Hosts = []hosts.Host{{ID: "local", Status: hosts.Online, CurrentJobs: 5, MaxConcurrent: 5}}
	for i := range 100 {
		l.Running = append(l.Running, pipeline.RunningJob{ID: fmt.Sprintf("job-%03d-%s", i, strings.Repeat("x", 40)), Kind: "exec",
			Source: "crawler", Host: "local", Attempt: 1, Started: testNow.Add(-time.Minute), Timeout: time.Hour})
		l.Sources = append(l.Sources, pipeline.SourceCount{Source: fmt.Sprintf("source-%d", i), Ready: i, Pending: 2 * i})
	}
	for i := range 50 {
		ev := pipeline.LiveEvent{JobID: "job\x1b[31m"}
		ev.Seq, ev.Time, ev.Event, ev.Text = int64(i), job.FormatTime(testNow), job.JobStarted, strings.Repeat("text ", 30)
		l.Events = append(l.Events, ev)
	}
	return l
}

var sequence = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]")

// TestWatchFits: a picture is never larger than the terminal, whatever there is to show, and what jobs are called cannot
// control it.
func TestWatchFits(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{{80, 24}, {40, 10}, {200, 60}, {20, 5}, {1, 1}} {
		for _, l := range []pipeline.Live{{}, busy()} {
			env := testEnv("status")
			env.StdoutTTY, env.Size = true, func() (int, int) { return size[0], size[1] }
			w := &watchScreen{a: testApp(env), root: "/a/workspace"}
			text := w.draw(l)
			if strings.Contains(text, "\x1b[31m") {
				t.Fatalf("%v: a job changed the colour: %q", size, text)
			}
			lines := strings.Split(sequence.ReplaceAllString(text, ""), "\r\n")
			if len(lines) > size[1] {
				t.Errorf("%v: %d lines", size, len(lines))
			}
			for _, line := range lines {
				if utf8.RuneCountInString(line) > size[0] {
					t.Errorf("%v: too wide: %q", size, line)
				}
			}
		}
	}
}

func TestWatchShows(t *testing.T) {
	t.Parallel()
	env := testEnv("status")
	env.StdoutTTY, env.Size = true, func() (int, int) { return 160, 60 }
	text := (&watchScreen{a: testApp(env), root: "/a/workspace"}).draw(busy())
	for _, want := range []string{"/a/workspace  running", "high 2  normal 5000  low 1  and more", "running 200", "source-3", "job-000-x",
		"1m00s", "1h00m", "and 181 more", "5 of 5", "#49"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

// TestKeys: q ends what is shown, Ctrl-C interrupts it, other keys do nothing; and the terminal gets its mode back.
func TestKeys(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]error{"xq": errQuit, "\x1b[A\x04": errQuit, "y\x03q": ErrInterrupted, "xyz": nil} {
		env := testEnv("status")
		raw := 0
		env.Stdin, env.StdinTTY = strings.NewReader(typed), true
		env.Raw = func() (func(), error) { raw++; return func() { raw-- }, nil }
		keys, release, err := testApp(env).keyboard(t.Context())
		if err != nil || raw != 1 {
			t.Fatalf("%q: %v, raw %d", typed, err, raw)
		}
		ctx, cancel := untilQuit(t.Context(), keys)
		if want == nil {
			select {
			case <-ctx.Done():
				t.Errorf("%q: ended: %v", typed, context.Cause(ctx))
			case <-time.After(50 * time.Millisecond):
			}
		} else if <-ctx.Done(); context.Cause(ctx) != want {
			t.Errorf("%q: %v, want %v", typed, context.Cause(ctx), want)
		}
		cancel()
		if release(); raw != 0 {
			t.Errorf("%q: the terminal is still raw", typed)
		}
	}
	env := testEnv("status")
	env.Raw = func() (func(), error) { t.Error("stdin is no terminal"); return nil, nil }
	if keys, release, err := testApp(env).keyboard(t.Context()); keys != nil || err != nil {
		t.Errorf("%v %v", keys, err)
	} else {
		release()
	}
}

func TestTableFits(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	table := &table{header: []string{"ID", "WHAT"}, fit: 30}
	table.add("job-1", strings.Repeat("long ", 10))
	table.add("job-2", "short")
	if err := table.flush(&b); err != nil {
		t.Fatal(err)
	}
	want := "ID     WHAT\njob-1  long long long long lo…\njob-2  short\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}
