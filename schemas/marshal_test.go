package schemas_test

import (
	"bytes"
	"encoding/json"
	"math"
	mathrand "math/rand"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/quick"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/schemas"
)

type embedded struct {
	Z string `json:"z,omitempty"`
	B int    `json:"b"`
}

type node struct {
	Value int    `json:"value"`
	Next  *node  `json:"next,omitempty"`
	Kids  []node `json:"kids,omitempty"`
}

type sample struct {
	Plain   string
	Euro    float64           `json:"é"`
	Emoji   uint8             `json:"𝐀"`
	Private bool              `json:"ﬁ"`
	Raw     json.RawMessage   `json:"raw,omitempty"`
	Map     map[string]any    `json:"map"`
	Texts   map[string]string `json:"texts,omitempty"`
	List    []int32           `json:"list"`
	Array   [2]bool           `json:"array"`
	Bytes   []byte            `json:"bytes"`
	Pointer *int64            `json:"pointer"`
	Any     any               `json:"any"`
	When    time.Time         `json:"when"`
	Zero    time.Time         `json:"zero,omitzero"`
	Skipped string            `json:"-"`
	Named   embedded          `json:"named"`
	Tree    *node             `json:"tree,omitempty"`
	hidden  int
	embedded
}

// TestMarshal compares with encoding/json and the canonical form of what that prints.
func TestMarshal(t *testing.T) {
	n := int64(-5)
	values := []any{
		nil, true, "a<b>&\u2028\x7f\"\\/\n\x01é", json.Number("1E2"), 1.5, math.Copysign(0, -1), 1e21, int8(-3), uint16(9),
		[]any{}, map[string]any{}, map[string]any(nil), []any(nil), []string(nil), map[string]int{"b": 1, "a": 2},
		map[string]any{"\ue000": 1, "😀": 2, "b": []any{nil, map[string]any{"y": json.Number("-0"), "x": "\xff"}}},
		json.RawMessage(` {"b":1.0,"a":[ ]}`), json.RawMessage(nil), job.PriorityLow,
		&sample{}, sample{
			Plain: "p", Euro: 0.1, Emoji: 1, Private: true, Raw: json.RawMessage(`{"y":"\u00e9","x":1e2}`),
			Map: map[string]any{"n": 1, "m": sample{}}, Texts: map[string]string{"k": "v"}, List: []int32{1, 2},
			Bytes: []byte("bytes"), Pointer: &n, Any: []embedded{{Z: "z"}}, When: time.Unix(1, 2).UTC(), Skipped: "s",
			Tree: &node{1, &node{2, nil, nil}, []node{{3, nil, nil}}}, hidden: 1, embedded: embedded{Z: "zz", B: 2},
		},
		job.Job{}, job.New(job.Intake{JobID: "j"}, job.Proposal{}), job.Report{Gates: []job.GateReport{{Evidence: map[string]any{"n": 3}}}},
		job.Intake{Proposal: proposal}, job.Result{Programs: []string{"a b"}},
	}
	for _, v := range values {
		got, err := schemas.Marshal(v)
		if err != nil {
			t.Errorf("%#v: %v", v, err)
			continue
		}
		std, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		want, err := schemas.Canonical(std)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%#v\n got %s\nwant %s", v, got, want)
		}
		if !schemas.IsCanonical(got) {
			t.Errorf("%s: not canonical", got)
		}
		appended, err := schemas.AppendCanonical([]byte("x"), v)
		if err != nil || string(appended) != "x"+string(got) {
			t.Errorf("appended %s, %v", appended, err)
		}
	}
}

// TestMarshalLikeStd does the same with random jobs.
func TestMarshalLikeStd(t *testing.T) {
	same := func(v any) bool {
		got, err := schemas.Marshal(v)
		if err != nil {
			return strings.Contains(err.Error(), "does not fit")
		}
		std, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		want, err := schemas.Canonical(std)
		return err == nil && bytes.Equal(got, want)
	}
	config := &quick.Config{MaxCount: 300, Values: func(args []reflect.Value, _ *mathrand.Rand) {
		result := job.Result{}
		fill(reflect.ValueOf(&result).Elem())
		j := job.Job{}
		fill(reflect.ValueOf(&j).Elem())
		args[0], args[1] = reflect.ValueOf(result), reflect.ValueOf(j)
	}}
	if err := quick.Check(func(r job.Result, j job.Job) bool { return same(r) && same(j) }, config); err != nil {
		t.Error(err)
	}
}

func TestMarshalRefuses(t *testing.T) {
	type late struct {
		A map[string][]any `json:"a/b"`
	}
	tests := []struct {
		v    any
		want string
	}{
		{int64(1<<53 + 1), "9007199254740993 does not fit"},
		{uint64(math.MaxUint64), "does not fit"},
		{math.NaN(), "NaN is not a JSON number"},
		{math.Inf(-1), "-Inf is not a JSON number"},
		{json.Number("0x10"), "does not fit"},
		{json.Number("1_0"), "does not fit"},
		{json.Number("007"), "does not fit"},
		{json.Number("9007199254740993"), "does not fit"},
		{json.RawMessage(`{"a":1,"a":2}`), "duplicate key"},
		{json.RawMessage(``), "is empty"},
		{json.RawMessage(`[9007199254740993]`), "9007199254740993 does not fit"},
		{late{map[string][]any{"~": {1, math.NaN()}}}, "schemas_test.late: /a~1b/~0/1: NaN"},
		{make(chan int), "cannot be printed"},
		{map[int]string{}, "only strings can be names"},
		{struct {
			Own int `json:"b"`
			embedded
		}{}, "two members are called b"},
		{struct {
			A int `json:"a,string"`
		}{}, `option "string"`},
		{struct {
			A int `json:"€"`
		}{}, "cannot be the name"},
		{struct{ *embedded }{}, "embedded pointer"},
		{byPointer{}, "by a method of its pointer"},
	}
	for _, test := range tests {
		b, err := schemas.Marshal(test.v)
		if b != nil || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%#v: %s, %v, want …%s…", test.v, b, err, test.want)
		}
	}
}

type byPointer struct{}

func (*byPointer) MarshalJSON() ([]byte, error) { return []byte("1"), nil }

// TestMarshalConcurrently makes encoders of types, one of which contains itself, from many goroutines.
func TestMarshalConcurrently(t *testing.T) {
	type tree struct {
		Kids map[string]*node `json:"kids"`
		More []*node          `json:"more"`
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			b, err := schemas.Marshal(tree{Kids: map[string]*node{"a": {Value: 1}}, More: []*node{nil, {Next: &node{}}}})
			if err != nil || string(b) != `{"kids":{"a":{"value":1}},"more":[null,{"next":{"value":0},"value":0}]}` {
				t.Errorf("%s, %v", b, err)
			}
		})
	}
	wg.Wait()
}

func TestUnmarshal(t *testing.T) {
	var p job.Proposal
	if err := schemas.Unmarshal(proposal, &p); err != nil {
		t.Fatal(err)
	}
	if p.ID != "job-0003" || *p.Priority != job.PriorityNormal || *p.TimeoutSeconds != 60 || p.Payload.Kind != "exec" || len(p.Payload.Params) < 600 {
		t.Errorf("%+v", p)
	}
	for text, want := range map[string]string{
		`{"payload":{},"extra":1}`:        "extra",
		`{"Payload":{}}`:                  "Payload",
		`{"id":"a","id":"b"}`:             "duplicate",
		`{"id":"` + "\xff" + `"}`:         "UTF-8",
		`{} {}`:                           "after top-level value",
		`{"id":1}`:                        "string",
		`{"timeout_seconds":1.5}`:         "int",
		`{"timeout_seconds":1e99}`:        "int",
		`{"priority":"urgent"}`:           "urgent",
		`{"payload":{"kind":"a","x":{}}}`: "x",
	} {
		if err := schemas.Unmarshal([]byte(text), &job.Proposal{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want …%s…", text, err, want)
		}
	}
	// What Marshal prints of our documents, Unmarshal reads back.
	j := job.New(job.Intake{JobID: "j", Provenance: job.Provenance{Source: "s", OwnerUID: -1}}, p)
	j.GateDecisions = []job.GateReport{{GateID: "G0", Reasons: []job.Reason{{Code: "X"}}, Evidence: map[string]any{"a": "b"}, Suggestions: []job.Patch{{Op: "remove"}}}}
	b, err := schemas.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	var again job.Job
	if err := schemas.Unmarshal(b, &again); err != nil || !reflect.DeepEqual(j, again) {
		t.Errorf("%v\n got %+v\nwant %+v", err, again, j)
	}
}

// What another version has stored can be read, whatever it has besides; what nobody can have stored cannot.
func TestUnmarshalStored(t *testing.T) {
	var e embedded
	if err := schemas.UnmarshalStored([]byte(`{"b":7,"new":[1],"z":"x"}`), &e); err != nil || e != (embedded{Z: "x", B: 7}) {
		t.Errorf("%+v, %v", e, err)
	}
	for _, text := range []string{`{"b":1,"b":2}`, `{"b":"1"}`, `{"b":1`, `{"b":1}{}`, "{\"z\":\"\xff\"}"} {
		if err := schemas.UnmarshalStored([]byte(text), &e); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestIsCanonical(t *testing.T) {
	for text, want := range map[string]bool{
		`{}`: true, `[]`: true, `""`: true, `0`: true, `-1`: true, `1e+21`: true, `1e-7`: true, `null`: true, `true`: true,
		`{"a":1,"b":[1,{"c":"é"}]}`: true, `{"":0}`: true, `"\u0000\b\t\n\f\r\"\\"`: true, `{"😀":1,"` + "\ue000" + `":2}`: true,
		``: false, ` {}`: false, "{}\n": false, `{"a" :1}`: false, `[1, 2]`: false, `[1,]`: false, `[,1]`: false, `{"a":1,}`: false,
		`{"b":1,"a":2}`: false, `{"a":1,"a":1}`: false, `{"` + "\ue000" + `":1,"😀":2}`: false, `1.0`: false, `1E2`: false, `-0`: false,
		`01`: false, `+1`: false, `.5`: false, `1.`: false, `1e21`: false, `-`: false, `"\u00e9"`: false, `"\/"`: false, `"\u0009"`: false,
		`"\u001F"`: false, `"\ud800"`: false, "\"\xff\"": false, "\"\x01\"": false, `"a`: false, `"\`: false, `{`: false, `{"a"`: false,
		`{"a":`: false, `[`: false, `tru`: false, `nulll`: false, `9007199254740993`: false, `Infinity`: false, `{a:1}`: false, `{"a":1 }`: false,
	} {
		if got := schemas.IsCanonical([]byte(text)); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
		canonical, err := schemas.Canonical([]byte(text))
		if same := err == nil && string(canonical) == text; same != want && text != "9007199254740993" {
			t.Errorf("%s: the table is wrong: %s, %v", text, canonical, err)
		}
	}
}

// FuzzCanonical compares the scanner with the JSON library, in both directions.
func FuzzCanonical(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":1,"b":[true,null,"x"]}`, `-0`, `1e21`, `1e+21`, `{"é":1,"𐀀":2,"ﬀ":3}`, `"\u000b"`,
		`"\u000B"`, `"\/"`, `9007199254740993`, `-5`, `[]`, `[1,]`, `{"":0}`, `{"abcdefgh":1,"abcdefghi":2}`, `"1234567é"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		const depth = 16
		end, ok := schemas.CanonicalEnd(b, depth)
		got := ok && end == len(b)
		v := jsontext.Value(bytes.Clone(b))
		want := v.Canonicalize() == nil && bytes.Equal(v, b)
		if want && !got && bytes.Count(b, []byte("["))+bytes.Count(b, []byte("{")) > depth {
			return
		}
		if got != want {
			t.Fatalf("%q: canonical %v, the library says %v: %s", b, got, want, v)
		}
	})
}

// TestPlainBytes puts each byte at each place of words of eight, and two of them beside each other.
func TestPlainBytes(t *testing.T) {
	twin := func(b []byte) int {
		for i, c := range b {
			if c < 0x20 || c == '"' || c == '\\' || c >= 0x80 {
				return i
			}
		}
		return len(b)
	}
	for length := range 20 {
		for at := range length {
			for c := range 256 {
				for _, beside := range []byte{'x', ' ', '!', '#', '[', ']', 0x00, 0x1f, 0x7f, 0x80, 0xff, '"', '\\'} {
					b := bytes.Repeat([]byte{'x'}, length)
					b[at] = byte(c)
					if at+1 < length {
						b[at+1] = beside
					}
					if got, want := schemas.PlainBytes(b), twin(b); got != want {
						t.Fatalf("%q: %d, want %d", b, got, want)
					}
				}
			}
		}
	}
}

func TestDigest(t *testing.T) {
	if got := schemas.Digest(nil); got != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Error(got)
	}
}

func BenchmarkMarshal(b *testing.B) {
	_, canonical, err := schemas.ParseCanonical(proposal, schemas.DefaultLimits)
	if err != nil {
		b.Fatal(err)
	}
	in := job.Intake{Schema: job.SchemaIntake, JobID: "job-0003", ReceivedAt: "2026-01-02T03:04:05.000006Z", Proposal: canonical,
		Provenance: job.Provenance{Zone: job.ZoneInbox, Source: "agent", File: "a.json", OwnerUID: 1000, Token: "token"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := schemas.Marshal(in); err != nil {
			b.Fatal(err)
		}
	}
}

// fill sets everything that v holds to something random, so that no field is forgotten.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.String:
		v.SetString(randomText())
	case reflect.Int, reflect.Int64:
		v.SetInt(rand.Int64N(1<<54) >> rand.IntN(54) * int64(1-2*rand.IntN(2)))
	case reflect.Bool:
		v.SetBool(rand.IntN(2) == 0)
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			raw := []string{`{"b":1,"a":[1e2,"\u00e9"]}`, `{"a":0}`, `null`, `"x"`}
			v.SetBytes([]byte(raw[rand.IntN(len(raw))]))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), rand.IntN(3), 3))
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]any{randomText(): randomText(), "n": rand.IntN(10), "l": []any{nil, true, 0.5}}))
	}
}

func randomText() string {
	pool := []rune("ab\"\\/<>&\x00\x1f\x7f\u0085é€\u2028\ue000\uffff😀𝄞")
	text := make([]rune, rand.IntN(6))
	for i := range text {
		text[i] = pool[rand.IntN(len(pool))]
	}
	if rand.IntN(20) == 0 {
		return string(text) + "\xff"
	}
	if s := string(text); utf8.ValidString(s) {
		return s
	}
	return ""
}
