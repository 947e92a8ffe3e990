package agent

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sheratan/sheratan/hosts/relay"
	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/pipeline/job"
)

// answering is an agent whose model always says text.
func answering(t testing.TB, text string, change ...func(*Options)) fixture {
	return newFixture(t, append([]func(*Options){func(o *Options) {
		o.Ask = func(context.Context, string, relay.Request) (relay.Answer, error) {
			return relay.Answer{Text: text, Finish: relay.FinishStop}, nil
		}
	}}, change...)...)
}

func withSchema(schema string) object {
	return object{"model": "m", "prompt": "p", "schema": json.RawMessage(schema)}
}

// Answers are compared with the schema of the proposal.
func TestAnswerAndSchema(t *testing.T) {
	const schema = `{"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}`
	for text, tc := range map[string]struct{ code, text string }{
		`{"n": 1}`:                 {"", ""},
		"```json\n{\"n\": 1}\n```": {"", ""},
		`{"n": "x"}`:               {CodeAnswer, "does not fit the schema: /n"},
		`{"n": 1`:                  {CodeAnswer, "not one JSON value"},
		`"` + strings.Repeat("x", maxAnswer) + `"`: {CodeAnswer, "at most"},
	} {
		f := answering(t, text)
		want(t, f.do(t, "llm", withSchema(schema), 30), tc.code, tc.text)
		if n := len(f.workers.idle); n != 0 {
			t.Errorf("%d workers are kept that had an answer", n)
		}
	}
}

// Another process compares: where it is not there, dies or hangs, the answer does not count, and nothing else happens. The bounds on
// the time are the job's.
func TestAnswerIsComparedElsewhere(t *testing.T) {
	for name, tc := range map[string]struct {
		argument   string
		timeout    int
		code, text string
	}{
		"works": {workerArg, 30, "", ""},
		"dies":  {dieArg, 30, CodeAnswer, "could not be compared"},
		"hangs": {hangArg, 1, CodeTimeout, "Job timed out after 1s"},
	} {
		f := answering(t, `{}`, func(o *Options) { o.Worker = []string{o.Worker[0], tc.argument} })
		start := time.Now()
		r := f.do(t, "llm", withSchema(`{"type": "object"}`), tc.timeout)
		want(t, r, tc.code, tc.text)
		if took := time.Since(start); took > 8*time.Second {
			t.Errorf("%s: took %s", name, took)
		}
	}
}

// The memory of the comparison is limited: the process dies of it, and this one does not.
func TestAnswerMemory(t *testing.T) {
	values := strings.Repeat(`{"a":1},`, maxAnswer/9)
	text := "[" + values[:len(values)-1] + "]"
	limited := func(o *Options) {
		o.Access = func(job.Job) Access { return Access{Limits: sandbox.Limits{Data: 1 << 20}} }
	}
	f := answering(t, text, limited)
	const schema = `{"type": "array"}`
	want(t, f.do(t, "llm", withSchema(schema), 60), CodeAnswer, "could not be compared with the schema within 10s and 256 MiB")
	want(t, answering(t, text).do(t, "llm", withSchema(schema), 60), CodeAnswer, "more steps") // with more memory it is another bound
	want(t, f.do(t, "file_list", object{"path": "."}, 5), "", "")                              // the others are not concerned
}
