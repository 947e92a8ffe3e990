package history

import (
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestMessageRoundTrip(t *testing.T) {
	t.Parallel()
	trailers := []Trailer{{"Ledger-Size", "12"}, {"Documents-Size", "0"}, {"Job", "a.b-c_1"}, {"Job", "b"}, {"Job-Status", "completed: twice"}}
	for _, trailers := range [][]Trailer{nil, trailers[:1], trailers} {
		text, err := FormatMessage("tick: 3 jobs completed", trailers)
		if err != nil {
			t.Fatal(err)
		}
		subject, got, err := ParseMessage(text)
		if err != nil || subject != "tick: 3 jobs completed" || !reflect.DeepEqual(got, trailers) {
			t.Errorf("%q: %q %v %v", text, subject, got, err)
		}
	}
}

func TestSubjectIsOneLine(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]string{
		"":                               "ledger",
		" \n\t ":                         "ledger",
		"a\nJob: forged":                 "a Job: forged",
		"a\x1b[31mred\x00":               "a [31mred",
		"a\u202eb\u200bc\u2028d":         "a b c d",
		"bad \xff bytes":                 "bad bytes",
		"größer als 日本":                  "größer als 日本",
		strings.Repeat("x", 200):         strings.Repeat("x", 119) + "…",
		strings.Repeat("é", 120):         strings.Repeat("é", 120),
		strings.Repeat("y", 118) + " zz": strings.Repeat("y", 118) + "…",
	} {
		text, err := FormatMessage(subject, []Trailer{{"Job", "a"}})
		if err != nil {
			t.Fatal(err)
		}
		if got, rest, _ := strings.Cut(text, "\n"); got != want || rest != "\nJob: a\n" {
			t.Errorf("%q: %q, want %q", subject, text, want)
		}
	}
}

func TestMessageRejects(t *testing.T) {
	t.Parallel()
	for _, trailer := range []Trailer{
		{"", "x"}, {"Job", ""}, {"Job:", "x"}, {"Job Status", "x"}, {"-Job", "x"}, {"Job", " x"}, {"Job", "x\n"}, {"Job", "a\nb"},
		{"Job", "a\u202eb"}, {"Job", "\xff"}, {"Job", strings.Repeat("x", maxValue+1)},
	} {
		if text, err := FormatMessage("s", []Trailer{trailer}); err == nil {
			t.Errorf("%q: printed %q", trailer, text)
		}
	}
	for _, message := range []string{
		"", "\n", "s", "s\n\n", "s\nJob: a\n", "s\n\nJob: a", "s\n\nJob: a\n\n", "s\n\nJob: a\n\nJob: b\n", "s\n\nbody\n", "s \n", "s\n\nJob:a\n",
		"s\r\n\r\nJob: a\r\n",
	} {
		if subject, trailers, err := ParseMessage(message); err == nil {
			t.Errorf("%q: parsed as %q %v", message, subject, trailers)
		}
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	good := []Trailer{{"Sheratan-Tick", "1"}, {"Ledger-Size", "12"}, {"Documents-Size", "0"}}
	if l, d, err := sizes(good); l != 12 || d != 0 || err != nil {
		t.Errorf("%d %d %v", l, d, err)
	}
	for _, bad := range [][]Trailer{
		nil, good[:2], {{"Documents-Size", "1"}}, append(good[:3:3], Trailer{"Ledger-Size", "12"}),
		{{"Ledger-Size", "-1"}, {"Documents-Size", "0"}}, {{"Ledger-Size", "012"}, {"Documents-Size", "0"}},
		{{"Ledger-Size", "1e3"}, {"Documents-Size", "0"}}, {{"Ledger-Size", "99999999999999999999"}, {"Documents-Size", "0"}},
	} {
		if l, d, err := sizes(bad); err == nil {
			t.Errorf("%v: %d %d", bad, l, d)
		}
	}
}

func FuzzParseMessage(f *testing.F) {
	f.Add("s\n\nJob: a\nJob-Status: b\n")
	f.Add("s\n")
	f.Add("a: b\n\nc: d: e\n")
	f.Fuzz(func(t *testing.T, message string) {
		subject, trailers, err := ParseMessage(message)
		if err != nil {
			return
		}
		if again, err := FormatMessage(subject, trailers); err != nil || again != message || !utf8.ValidString(message) {
			t.Errorf("%q became %q, %v", message, again, err)
		}
	})
}

func TestSegmentPaths(t *testing.T) {
	t.Parallel()
	for first, want := range map[int64]string{
		0: "outbox/ledger/000/000/000000000.jsonl", 4000: "outbox/ledger/000/004/000004000.jsonl",
		4999: "outbox/ledger/000/004/000004999.jsonl", 123456789: "outbox/ledger/123/456/123456789.jsonl",
	} {
		if got := segmentPath(ledgerDir, first); got != want {
			t.Errorf("%d: %s, want %s", first, got, want)
		}
		if dir, n, ok := parseSegment(want); dir != ledgerDir || n != first || !ok {
			t.Errorf("%s: %s %d %v", want, dir, n, ok)
		}
	}
	for _, bad := range []string{
		"", "outbox/ledger", "outbox/ledger/000/000/", "outbox/ledger/000/001/000000000.jsonl", "outbox/ledger/000/000/00000000.jsonl",
		"outbox/ledger/000/000/000000000.json", "outbox/results/000/000/000000000.jsonl", "outbox/ledger/000/000/-00000001.jsonl",
		"outbox/ledger/000/000/+00000001.jsonl", "outbox/ledger/000/000/x/000000000.jsonl",
	} {
		if _, n, ok := parseSegment(bad); ok {
			t.Errorf("%q: taken for segment %d", bad, n)
		}
	}
}
