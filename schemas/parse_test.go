package schemas_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/schemas"
)

func TestParse(t *testing.T) {
	got, err := schemas.Parse([]byte(" {\"a\":[null,true,false,\"\\u00e9\\n\",-1.50,0,{}],\"\":[]}\n"), schemas.Limits{})
	want := map[string]any{
		"a": []any{nil, true, false, "é\n", json.Number("-1.5"), json.Number("0"), map[string]any{}},
		"":  []any{},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v, %v\nwant %#v", got, err, want)
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct {
		text    string
		code    schemas.ParseCode
		place   [3]int // offset, line, column
		pointer string
		message string // a part of it
	}{
		{"", schemas.CodeEmpty, [3]int{0, 1, 1}, "", "is empty"},
		{" \n\t", schemas.CodeEmpty, [3]int{0, 1, 1}, "", "is empty"},
		{"\xef\xbb\xbf{}", schemas.CodeSyntax, [3]int{0, 1, 1}, "", "byte order mark (BOM), save it as UTF-8 without BOM"},
		{"\xff\xfe{\x00}\x00", schemas.CodeNotUTF8, [3]int{0, 1, 1}, "", "UTF-16"},
		{"[\"é\",\n\"\xe9\"]", schemas.CodeNotUTF8, [3]int{8, 2, 2}, "", "byte 0xe9 is not UTF-8"},
		{"[\"\xed\xa0\x80\"]", schemas.CodeNotUTF8, [3]int{2, 1, 3}, "", "byte 0xed"},
		{`["\ud800"]`, schemas.CodeSyntax, [3]int{2, 1, 3}, "/0", "surrogate"},
		{`["\udc00x"]`, schemas.CodeSyntax, [3]int{2, 1, 3}, "/0", "surrogate"},
		{"{\n \"a\": 1,\n  \"b\":2, \"a\":3}", schemas.CodeDuplicateKey, [3]int{20, 3, 10}, "/a", `duplicate key "a" at line 3 column 10`},
		{`{"x":{"é":1,"\u00e9":2}}`, schemas.CodeDuplicateKey, [3]int{13, 1, 13}, "/x/é", `duplicate key "é"`},
		{"{}\n{}", schemas.CodeTrailingData, [3]int{3, 2, 1}, "", "after the end"},
		{"1 x", schemas.CodeTrailingData, [3]int{2, 1, 3}, "", "after the end"},
		{`{"a":[1,2`, schemas.CodeSyntax, [3]int{9, 1, 10}, "/a", "ends too early"},
		{`{"a`, schemas.CodeSyntax, [3]int{3, 1, 4}, "", "ends too early"},
		{`{"a":tru}`, schemas.CodeSyntax, [3]int{8, 1, 9}, "/a", "invalid character '}'"},
		{`[1,]`, schemas.CodeSyntax, [3]int{2, 1, 3}, "", "comma before the closing bracket, leave it out"},
		{"{\"a\":1 ,\n}", schemas.CodeSyntax, [3]int{7, 1, 8}, "", "comma before the closing bracket, leave it out"},
		{"{\"a\":1, // one\n}", schemas.CodeSyntax, [3]int{8, 1, 9}, "", "JSON has no comments"},
		{`{'a':1}`, schemas.CodeSyntax, [3]int{1, 1, 2}, "", "in JSON names and strings have double quotes"},
		{`{"a":1e400}`, schemas.CodeNumberChanged, [3]int{5, 1, 6}, "/a", "number 1e400 does not fit"},
		{`[0, 9007199254740993]`, schemas.CodeNumberChanged, [3]int{4, 1, 5}, "/1", "write it as a string"},
		{`[01]`, schemas.CodeSyntax, [3]int{2, 1, 3}, "", "invalid character '1'"},
		{`NaN`, schemas.CodeSyntax, [3]int{0, 1, 1}, "", "invalid character 'N'"},
		{"[\"a\x01\"]", schemas.CodeSyntax, [3]int{3, 1, 4}, "/0", `invalid character '\x01'`},
	}
	for _, test := range tests {
		v, err := schemas.Parse([]byte(test.text), schemas.DefaultLimits)
		checkParsed(t, test.text, []byte(test.text), v, err)
		var p *schemas.ParseError
		if !errors.As(err, &p) {
			t.Errorf("%q: parsed as %v", test.text, v)
			continue
		}
		place := [3]int{p.Offset, p.Line, p.Column}
		if p.Code != test.code || place != test.place || p.Pointer != test.pointer || !strings.Contains(p.Message, test.message) {
			t.Errorf("%q: %s at %v in %q: %s\nwant %s at %v in %q: …%s…", test.text,
				p.Code, place, p.Pointer, p.Message, test.code, test.place, test.pointer, test.message)
		}
	}
}

func TestParseLimits(t *testing.T) {
	lim := schemas.Limits{Bytes: 10, Depth: 3}
	for text, want := range map[string]schemas.ParseCode{
		"1234567890":  "",
		"12345678901": schemas.CodeTooLarge,
		"[[[1]]]":     "",
		"[[[[]]]]":    schemas.CodeTooDeep,
		`{"":[[[`:     schemas.CodeTooDeep,
		`[[[[[[[[`:    schemas.CodeTooDeep,
	} {
		v, err := schemas.Parse([]byte(text), lim)
		if code(err) != want {
			t.Errorf("%s: %v, %v, want %q", text, v, err, want)
		}
	}
	deep := strings.Repeat("[", 64) + strings.Repeat("]", 64)
	if _, err := schemas.Parse([]byte(deep), schemas.Limits{}); err != nil {
		t.Errorf("64 deep: %v", err)
	}
	if _, err := schemas.Parse([]byte("["+deep+"]"), schemas.Limits{}); code(err) != schemas.CodeTooDeep {
		t.Errorf("65 deep: %v", err)
	}
	if _, err := schemas.Parse(make([]byte, 1<<20+1), schemas.Limits{}); code(err) != schemas.CodeTooLarge {
		t.Errorf("1 MiB and a byte: %v", err)
	}
}

// TestParseDeep makes sure that no depth, however it is allowed, ends in a crash.
func TestParseDeep(t *testing.T) {
	const n = 1_000_000
	generous := schemas.Limits{Bytes: 1 << 30, Depth: 1 << 30}
	for _, text := range []string{
		strings.Repeat("[", n),
		strings.Repeat("[", n) + strings.Repeat("]", n),
		strings.Repeat(`{"a":`, n),
		strings.Repeat(`[{"a":`, n) + "1" + strings.Repeat("}]", n),
	} {
		for _, lim := range []schemas.Limits{generous, {Bytes: 1 << 30}} {
			if v, err := schemas.Parse([]byte(text), lim); code(err) != schemas.CodeTooDeep {
				t.Errorf("%.10s…: %v, want %s", text, err, schemas.CodeTooDeep)
			} else if v != nil {
				t.Error("a value came with the error")
			}
		}
		if schemas.IsCanonical([]byte(text)) {
			t.Errorf("%.10s…: taken for canonical", text)
		}
		if _, err := schemas.Canonical([]byte(text)); err == nil {
			t.Errorf("%.10s…: has a canonical form", text)
		}
	}
	deep := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	if _, err := schemas.Parse([]byte(deep), generous); err != nil {
		t.Errorf("5,000 deep, as allowed: %v", err)
	}
}

func TestNumbers(t *testing.T) {
	const refused = ""
	tests := map[string]string{
		"0": "0", "-0": "0", "0.0": "0", "-0.0e5": "0", "0e999999999999999999999": "0", "0e-999999999999999999999": "0",
		"1": "1", "-1": "-1", "1.0": "1", "1E2": "100", "1e+2": "100", "10e-1": "1", "0.1": "0.1", "0.10": "0.1",
		"123456789012345": "123456789012345", "9007199254740992": "9007199254740992",
		"9007199254740993": refused, "-9007199254740993": refused, "9007199254740994": "9007199254740994",
		"1e21": "1e+21", "1000000000000000000000": "1e+21", "100000000000000000000": "100000000000000000000",
		"1e-7": "1e-7", "0.0000001": "1e-7", "0.000001": "0.000001",
		"1.7976931348623157e308": "1.7976931348623157e+308", "1.7976931348623159e308": refused,
		"1e309": refused, "-1e309": refused, "1e999999999999999999999": refused, "1e-999999999999999999999": refused,
		"5e-324": "5e-324", "4.9e-324": refused, "1e-324": refused,
		"3.141592653589793": "3.141592653589793", "3.141592653589793238": refused, "333333333.33333329": refused,
		"0.3": "0.3", "0.30000000000000004": "0.30000000000000004",
		"1" + strings.Repeat("0", 308): "1e+308", "1" + strings.Repeat("0", 309): refused,
		"0." + strings.Repeat("0", 400) + "1": refused,
	}
	for literal, want := range tests {
		v, err := schemas.Parse([]byte(literal), schemas.DefaultLimits)
		if want == refused {
			if code(err) != schemas.CodeNumberChanged {
				t.Errorf("%s: %v, %v, want %s", literal, v, err, schemas.CodeNumberChanged)
			}
			continue
		}
		if err != nil || v != json.Number(want) {
			t.Errorf("%s: %v, %v, want %s", literal, v, err, want)
		}
	}
	// A literal as long as the document may be is not expanded. It is refused, although it is one: strconv gives up on
	// exponents of more than five digits, and a wrong no is on the safe side.
	long := "1" + strings.Repeat("0", 1<<20-20) + "e-1048556"
	if v, err := schemas.Parse([]byte(long), schemas.DefaultLimits); code(err) != schemas.CodeNumberChanged {
		t.Errorf("1 MiB of zeros: %.20v, %v", v, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.50,"x\u00e9",null,true]}`, `"\ud834\udd1e"`, `1e5`, `{"a":1,"a":2}`, `[`, "\xff",
		`{"b":1,"a":{"\u20ac":-0}}`, `[9007199254740993]`, "{}x", `{"\ufb33":1,"\ud83d\ude00":2}`, `["\\\"\/\b"]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := schemas.Parse(b, schemas.Limits{Bytes: 1 << 16, Depth: 64})
		checkParsed(t, string(b), b, v, err)
		if err != nil && schemas.IsCanonical(b) {
			t.Errorf("canonical, but %v", err)
		}
		for _, name := range schemas.Names() {
			if err == nil {
				schemas.Validate(name, v)
			}
		}
	})
}

var proposal = []byte(`{"$schema":"sheratan.proposal/v1","depends_on":["job-1","job-2"],"id":"job-0003","idempotency_key":"vet-2026-01-01",` +
	`"max_retries":2,"mission_id":"cleanup","payload":{"kind":"exec","params":{"argv":["go","vet","./...","` + strings.Repeat("x", 600) +
	`"],"cwd":"work/project","env":{"CI":"1","LANG":"C"}}},"priority":"normal","required_capabilities":["exec","go"],` +
	`"retry_backoff":"linear","task_id":"task-7","timeout_seconds":60}`)

func BenchmarkParse(b *testing.B) {
	b.SetBytes(int64(len(proposal)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := schemas.Parse(proposal, schemas.DefaultLimits); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseCanonical(b *testing.B) {
	b.SetBytes(int64(len(proposal)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := schemas.ParseCanonical(proposal, schemas.DefaultLimits); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkValidate(b *testing.B) {
	v, err := schemas.Parse(proposal, schemas.DefaultLimits)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if found := schemas.Validate("proposal", v); found != nil {
			b.Fatal(found)
		}
	}
}

func BenchmarkIsCanonical(b *testing.B) {
	b.SetBytes(int64(len(proposal)))
	for b.Loop() {
		if !schemas.IsCanonical(proposal) {
			b.Fatal("not canonical")
		}
	}
}
