package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline"
)

func TestParseLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text     string
		id       string
		proposal bool
		path     string
		fails    string
	}{
		{text: `{"payload":{"kind":"noop"}}`, proposal: true},
		{text: `{"id":"a","payload":{"kind":"noop"}}`, id: "a", proposal: true},
		{text: `{"job_id":"a","status":"pending"}`, id: "a"},
		{text: `{"id":"b"}`, id: "b"},
		{text: `{"job_id":"a","id":"b"}`, id: "a"},
		{text: `{"job_id":"a","path":"runtime/inbox/a.json","source":"operator"}`, id: "a", path: "runtime/inbox/a.json"},
		{text: `{"job_id":"a","id":"a","payload":{"kind":"noop"},"created_at":"2026-01-02T00:00:00Z"}`, id: "a"}, // a job document
		{text: `{"status":"pending"}`, fails: "-:7: has neither payload nor job_id nor id"},
		{text: `job-1`, fails: "-:7: not a line of JSON"},
		{text: `["a"]`, fails: "-:7: is a JSON array, an object is expected"},
		{text: `{"job_id":7}`, fails: "-:7: /job_id: is a JSON number, a string is expected"},
	} {
		got, err := parseLine([]byte(c.text), 7)
		if c.fails != "" {
			var bad *pipeline.InputError
			if !errors.As(err, &bad) || !strings.HasPrefix(err.Error(), c.fails) || bad.Hint() == "" {
				t.Errorf("%s: error %v, want %q with a hint", c.text, err, c.fails)
			}
			continue
		}
		if err != nil || got.id != c.id || got.proposal != c.proposal || got.path != c.path {
			t.Errorf("%s: %+v, %v", c.text, got, err)
		}
	}
}

func TestSortArgs(t *testing.T) {
	t.Parallel()
	ids, files, stdin := sortArgs([]string{"job-1", "./x", "a.json", "-", "b.jsonl", "c.d"})
	if !reflect.DeepEqual(ids, []string{"job-1", "c.d"}) || !reflect.DeepEqual(files, []string{"./x", "a.json", "b.jsonl"}) || !stdin {
		t.Errorf("ids %q, files %q, stdin %t", ids, files, stdin)
	}
}

// TestStdinStreams: a line that was written is handed over although the pipe stays open, since the stage before may take
// its time for the next one.
func TestStdinStreams(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	env := testEnv()
	env.Stdin = r
	a := testApp(env)
	got := make(chan []string, 10)
	done := make(chan error, 1)
	go func() {
		done <- a.stdinLines(context.Background(), parseLine, func(batch []inputLine) error {
			got <- idsOf(batch)
			return nil
		})
	}()
	for i := range 3 {
		fmt.Fprintf(w, "{\"job_id\":\"job-%d\"}\n", i)
		select {
		case ids := <-got:
			if len(ids) != 1 || ids[0] != fmt.Sprintf("job-%d", i) {
				t.Errorf("batch %d: %q", i, ids)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("the line did not come through")
		}
	}
	_ = w.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestStdinBatches: what is there at once is taken in large batches, an id once, empty lines not at all.
func TestStdinBatches(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 2500 {
		fmt.Fprintf(&b, "\n  {\"id\":\"job-%d\"}\r\n", i)
	}
	b.WriteString(`{"id":"job-2499"}`)
	env := testEnv()
	env.Stdin = strings.NewReader(b.String())
	lines, batches := 0, 0
	err := testApp(env).stdinLines(context.Background(), parseLine, func(batch []inputLine) error {
		lines += len(batch)
		batches++
		if len(batch) > maxBatch {
			t.Errorf("a batch of %d", len(batch))
		}
		return nil
	})
	if err != nil || lines != 2501 || batches > 100 {
		t.Errorf("%d lines in %d batches, %v", lines, batches, err)
	}
}

// TestStdinBadLine: the lines before a bad one are handled, then it is named.
func TestStdinBadLine(t *testing.T) {
	t.Parallel()
	env := testEnv()
	env.Stdin = strings.NewReader("{\"id\":\"a\"}\n\nnonsense\n{\"id\":\"b\"}\n")
	var ids []string
	err := testApp(env).stdinLines(context.Background(), parseLine, func(batch []inputLine) error {
		ids = append(ids, idsOf(batch)...)
		return nil
	})
	if err == nil || !strings.HasPrefix(err.Error(), "-:3: ") || !reflect.DeepEqual(ids, []string{"a"}) {
		t.Errorf("ids %q, error %v", ids, err)
	}
}

// TestStdinInterrupted: a reader that gets nothing is left when the command is interrupted.
func TestStdinInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(context.Background())
	r, w := io.Pipe()
	defer w.Close()
	env := testEnv()
	env.Stdin = r
	time.AfterFunc(10*time.Millisecond, func() { cancel(ErrInterrupted) })
	err := testApp(env).stdinLines(ctx, parseLine, func([]inputLine) error { return nil })
	if !errors.Is(err, ErrInterrupted) {
		t.Errorf("error %v", err)
	}
}
