package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/sheratan/sheratan/pipeline/job"
)

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

func fullEvent() Event {
	return Event{
		V: 1, Seq: 17, ID: "0191b7a0-0000-8000-8000-000000000001", Timestamp: "2026-03-01T12:00:00.000001Z",
		Actor: "o'brien \"ops\" \\ \u00fc\u2028\u007f\U0001F600\x01\n", Event: job.JobCompleted, JobID: "a.b_c-1",
		TraceID: "mission 7", Zone: "outbox", ArtifactPath: "outbox/documents/000/000/000000000.jsonl",
		ArtifactSHA256: zeros, Meta: json.RawMessage(`{"a":[1,-2,0.5,1e+30,true,false,null,{}],"b":"\u0001\n\"ü"}`), Prev: zeros,
	}
}

// canonical is the dumb twin of AppendLine.
func canonical(t testing.TB, e Event) []byte {
	b, err := jsonv2.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	v := jsontext.Value(b)
	if err := v.Canonicalize(); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestLineIsCanonical(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.String()
		meta, err := NewMeta(map[string]any{
			text.Draw(rt, "name"): text.Draw(rt, "value"), "n": rapid.Int64Range(-1<<53, 1<<53).Draw(rt, "n"),
			"\U0001F600": rapid.Float64Range(-1e300, 1e300).Draw(rt, "float"), "\ufb33": rapid.SliceOf(text).Draw(rt, "list"),
		})
		if err != nil {
			rt.Skip(err)
		}
		e := fullEvent()
		e.Actor = "x" + text.Draw(rt, "actor")
		e.TraceID = text.Draw(rt, "trace")
		e.Seq = rapid.Int64Range(0, maxSeq).Draw(rt, "seq")
		e.Meta = meta
		line, err := e.AppendLine(nil)
		if err != nil {
			rt.Skip(err) // not UTF-8
		}
		if want := canonical(t, e); !bytes.Equal(line, want) {
			rt.Fatalf("printed  %s\nexpected %s", line, want)
		}
		again, err := ParseLine(line)
		if err != nil {
			rt.Fatalf("%s: %v", line, err)
		}
		if !reflect.DeepEqual(again, e) {
			rt.Fatalf("parsed %+v\nfrom   %+v", again, e)
		}
	})
}

func TestLineKeepsDst(t *testing.T) {
	e := fullEvent()
	got, err := e.AppendLine([]byte("before"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "before" + string(canonical(t, e)); string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
	e.Prev = ""
	if got, err := e.AppendLine([]byte("before")); err == nil || string(got) != "before" {
		t.Errorf("got %q and error %v after a failure", got, err)
	}
}

func TestEmptyMetaIsPrinted(t *testing.T) {
	e := fullEvent()
	e.Meta = nil
	line, err := e.AppendLine(nil)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(line, []byte(`,"meta":{},`)) {
		t.Errorf("%s has no empty meta", line)
	}
}

func TestLineRefusesEvents(t *testing.T) {
	for name, change := range map[string]func(*Event){
		"v":               func(e *Event) { e.V = 2 },
		"seq":             func(e *Event) { e.Seq = -1 },
		"seq ":            func(e *Event) { e.Seq = maxSeq + 1 },
		"id":              func(e *Event) { e.ID = "" },
		"id ":             func(e *Event) { e.ID = "\xff" },
		"actor":           func(e *Event) { e.Actor = "" },
		"actor ":          func(e *Event) { e.Actor = "a\xed\xa0\x80" },
		"timestamp":       func(e *Event) { e.Timestamp = "2026-03-01T12:00:00Z" },
		"event":           func(e *Event) { e.Event = "job done" },
		"job_id":          func(e *Event) { e.JobID = "../x" },
		"artifact_sha256": func(e *Event) { e.ArtifactSHA256 = strings.Repeat("A", 64) },
		"prev":            func(e *Event) { e.Prev = zeros[1:] },
		"meta":            func(e *Event) { e.Meta = json.RawMessage(`{"b":1,"a":2}`) },
		"meta ":           func(e *Event) { e.Meta = json.RawMessage(`[]`) },
		"meta  ":          func(e *Event) { e.Meta = json.RawMessage(`{} `) },
		"meta   ":         func(e *Event) { e.Meta = json.RawMessage(`{"a":1.0}`) },
		"meta    ":        func(e *Event) { e.Meta = json.RawMessage(`{"a":1,"a":1}`) },
		"":                func(e *Event) { e.Meta = json.RawMessage(`{"a":"` + strings.Repeat("x", MaxLine) + `"}`) },
	} {
		e := fullEvent()
		change(&e)
		_, err := e.AppendLine(nil)
		var bad *LineError
		if !errors.As(err, &bad) || bad.Member != strings.TrimSpace(name) {
			t.Errorf("%q: error %v", name, err)
		}
	}
}

func TestParseRefusesWhatIsNotPrinted(t *testing.T) {
	e := fullEvent()
	good, err := e.AppendLine(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseLine(good); err != nil {
		t.Fatalf("the line that all others differ from: %v", err)
	}
	replace := func(old, new string) string {
		s := strings.Replace(string(good), old, new, 1)
		if s == string(good) {
			t.Fatalf("%q is not in %s", old, good)
		}
		return s
	}
	for name, line := range map[string]string{
		"empty":            "",
		"newline":          string(good) + "\n",
		"space":            replace(`,"zone"`, `, "zone"`),
		"end cut":          string(good[:len(good)-1]),
		"escape":           replace("ü", `\u00fc`),
		"escaped solidus":  replace("outbox/documents", `outbox\/documents`),
		"upper-case hex":   replace(`\u0001`, `\u001B`),
		"raw control":      replace(`\n`, "\n"),
		"lone surrogate":   replace(`\u0001`, `\ud800`),
		"member missing":   replace(`"trace_id":"mission 7",`, ""),
		"member added":     replace(`,"zone"`, `,"w":1,"zone"`),
		"order":            replace(`"trace_id":"mission 7","v":1`, `"v":1,"trace_id":"mission 7"`),
		"seq as a string":  replace(`"seq":17`, `"seq":"17"`),
		"seq with a zero":  replace(`"seq":17`, `"seq":017`),
		"seq as a float":   replace(`"seq":17`, `"seq":17.0`),
		"seq empty":        replace(`"seq":17`, `"seq":`),
		"seq huge":         replace(`"seq":17`, `"seq":99999999999999999999`),
		"meta as null":     replace(`"meta":{`, `"meta":null,"m":{`),
		"meta with spaces": replace(`"a":[`, `"a": [`),
		"meta number":      replace(`0.5`, `5e-1`),
		"meta minus zero":  replace(`0.5`, `-0`),
		"meta leading 0":   replace(`0.5`, `00`),
		"meta huge":        replace(`0.5`, `1e999`),
		"meta deep":        replace(`{}]`, strings.Repeat("[", 40)+strings.Repeat("]", 40)+`]`),
		"meta key order":   replace(`,"b":`, `,"A":`),
		"two values":       string(good) + string(good),
		"not UTF-8":        replace("mission 7", "mission \xff"),
	} {
		e, err := ParseLine([]byte(line))
		var bad *LineError
		if !errors.As(err, &bad) {
			t.Errorf("%s: error %v for %s", name, err, line)
		}
		if !reflect.DeepEqual(e, Event{}) {
			t.Errorf("%s: an event besides the error: %+v", name, e)
		}
	}
}

func TestParsedEventOwnsItsBytes(t *testing.T) {
	e := fullEvent()
	line, _ := e.AppendLine(nil)
	got, err := ParseLine(line)
	if err != nil {
		t.Fatal(err)
	}
	for i := range line {
		line[i] = 'x'
	}
	if !reflect.DeepEqual(got, e) {
		t.Errorf("the event changed with the buffer: %+v", got)
	}
}

func FuzzParseLine(f *testing.F) {
	e := fullEvent()
	line, _ := e.AppendLine(nil)
	f.Add(line)
	s := sample(0)
	b := NewBatch(Position{})
	if err := b.Add(&s); err != nil {
		f.Fatal(err)
	}
	f.Add(bytes.TrimSuffix(b.buf, []byte("\n")))
	f.Add([]byte(`{"actor":"a"}`))
	f.Fuzz(func(t *testing.T, line []byte) { compareWithTwin(t, line) })
}

// parseTwin is the dumb twin of ParseLine: it decodes with a JSON library, makes the canonical form with it, and compares.
func parseTwin(line []byte) (Event, bool) {
	var e Event
	if len(line) > MaxLine || jsonv2.Unmarshal(line, &e, jsonv2.RejectUnknownMembers(true)) != nil {
		return Event{}, false
	}
	v := jsontext.Value(bytes.Clone(line))
	if v.Canonicalize() != nil || !bytes.Equal(v, line) {
		return Event{}, false
	}
	again, err := e.AppendLine(nil)
	return e, err == nil && bytes.Equal(again, line)
}

func compareWithTwin(t testing.TB, line []byte) (taken bool) {
	t.Helper()
	e, err := ParseLine(line)
	want, ok := parseTwin(line)
	if ok != (err == nil) {
		t.Fatalf("%q\nparsed: %v; the twin takes it: %v", line, err, ok)
	}
	if ok && !reflect.DeepEqual(e, want) {
		t.Fatalf("%q\nparsed as %+v\nby the twin %+v", line, e, want)
	}
	return ok
}

// TestParseLikeTwin changes lines a little, at all places, and compares what becomes of them with the twin.
func TestParseLikeTwin(t *testing.T) {
	full := fullEvent()
	line, err := full.AppendLine(nil)
	if err != nil {
		t.Fatal(err)
	}
	plain := sample(3)
	plain.V, plain.ID, plain.Prev = Version, "0191b7a0-0000-8000-8000-000000000001", zeros
	other, err := plain.AppendLine(nil)
	if err != nil {
		t.Fatal(err)
	}
	pieces := []string{"", `"`, `\`, `\u001f`, `\u001F`, `\/`, `\n`, "\n", "\x00", "\x1f", "\x7f", "ü", "\xff", "\u2028", " ", ",", ":", "{", "}", "[", "]", "0", "-0",
		"1", "9", "1.0", "1e+21", "1E21", "e", "a", "A", "_", "true", "null", `"a":1,`, `,"a":1`, "{}"}
	taken := 0
	for _, line := range [][]byte{line, other} {
		if !compareWithTwin(t, line) {
			t.Fatalf("%s is not taken", line)
		}
		for at := range line {
			for _, piece := range pieces {
				for cut := range 2 {
					changed := append(append(bytes.Clone(line[:at]), piece...), line[min(at+cut, len(line)):]...)
					if compareWithTwin(t, changed) {
						taken++
					}
				}
			}
		}
	}
	if taken < 10_000 {
		t.Errorf("%d of the changed lines are lines: the test shows little", taken)
	}
}

func TestMeta(t *testing.T) {
	for _, test := range []struct {
		v    any
		want string
	}{
		{nil, `{}`},
		// The zero members that the tags leave out must not be there.
		{Received{Located: Located{5, 7}, Source: "s", Bucket: "*", Token: "t"},
			`{"bucket":"*","bytes":7,"depends_on":0,"key":"","kind":"","max_retries":0,"offset":5,"payload_sha256":"",` +
				`"priority":0,"retry_backoff":"","source":"s","timeout_seconds":0,"token":"t"}`},
		{Ready{}, `{}`},
		{Ready{Slot: "x"}, `{"window":"x"}`},
		{Dispatched{Host: "local", Attempt: 1, Runner: &Runner{"b", 2, 3}},
			`{"attempt":1,"host":"local","lease_until":"","runner":{"boot":"b","pid":2,"start":3}}`},
		{Gated{Gates: map[string]string{"G1": "PASS", "G0": "WARN"}},
			`{"bytes":0,"gates":{"G0":"WARN","G1":"PASS"},"next_action":"","offset":0,"rules":"","verdict":""}`},
		{Cancelled{Reason: "a\"\u00e9"}, `{"reason":"a\"é"}`},
	} {
		got, err := NewMeta(test.v)
		if err != nil {
			t.Errorf("%T: %v", test.v, err)
			continue
		}
		if string(got) != test.want {
			t.Errorf("%T: %s, want %s", test.v, got, test.want)
		}
		if test.v == nil {
			continue
		}
		e := Event{Meta: got}
		back := reflect.New(reflect.TypeOf(test.v))
		if err := e.DecodeMeta(back.Interface()); err != nil || !reflect.DeepEqual(back.Elem().Interface(), test.v) {
			t.Errorf("%T: read back as %+v, %v", test.v, back.Elem(), err)
		}
	}
	if _, err := NewMeta([]int{1}); err == nil {
		t.Error("an array was taken for a meta object")
	}
	e := Event{Meta: json.RawMessage(`{"reason":"x","surprise":1}`)}
	if err := e.DecodeMeta(&Cancelled{}); err == nil {
		t.Error("an unknown member was ignored")
	}
}
