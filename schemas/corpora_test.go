package schemas_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/schemas"
)

// corpora returns a folder of test data that is not part of the repository: $SHERATAN_CORPORA, or shared/corpora beside it.
func corpora(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("SHERATAN_CORPORA")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "corpora")
	}
	dir := filepath.Join(root, name)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("%s is not here; set SHERATAN_CORPORA to the folder that has it", name)
	}
	return dir
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestJSONTestSuite runs the files of nst/JSONTestSuite: what must parse does, what must not does not, and nothing panics.
func TestJSONTestSuite(t *testing.T) {
	dir := filepath.Join(corpora(t, "jsontestsuite"), "test_parsing")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) < 300 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	counts := map[byte]int{}
	for _, path := range files {
		name := filepath.Base(path)
		counts[name[0]]++
		b := read(t, path)
		v, err := schemas.Parse(b, schemas.DefaultLimits)
		checkParsed(t, name, b, v, err)
		switch {
		case name[0] == 'n' && err == nil:
			t.Errorf("%s: parsed as %v, must be refused", name, v)
		case name[0] == 'y' && strings.HasPrefix(name, "y_object_duplicated_key"):
			if code(err) != schemas.CodeDuplicateKey {
				t.Errorf("%s: %v, want %s", name, err, schemas.CodeDuplicateKey)
			}
		case name[0] == 'y' && err != nil:
			t.Errorf("%s: %v", name, err)
		}
	}
	if counts['y'] != 95 || counts['n'] != 188 || counts['i'] != 35 {
		t.Errorf("the corpus has changed: %v", counts)
	}
}

// TestJSONTransform runs the files on which parsers differ; the table is where this one stands.
func TestJSONTransform(t *testing.T) {
	dir := filepath.Join(corpora(t, "jsontestsuite"), "test_transform")
	want := map[string]any{
		"number_-9223372036854775808.json":         schemas.CodeNumberChanged,
		"number_-9223372036854775809.json":         schemas.CodeNumberChanged,
		"number_1.0.json":                          "[1]",
		"number_1.000000000000000005.json":         schemas.CodeNumberChanged,
		"number_1000000000000000.json":             "[1000000000000000]",
		"number_10000000000000000999.json":         schemas.CodeNumberChanged,
		"number_1e-999.json":                       schemas.CodeNumberChanged,
		"number_1e6.json":                          "[1000000]",
		"number_9223372036854775807.json":          schemas.CodeNumberChanged,
		"number_9223372036854775808.json":          schemas.CodeNumberChanged,
		"object_key_nfc_nfd.json":                  "{\"e\u0301\":\"NFD\",\"\u00e9\":\"NFC\"}",
		"object_key_nfd_nfc.json":                  "{\"e\u0301\":\"NFD\",\"\u00e9\":\"NFC\"}",
		"object_same_key_different_values.json":    schemas.CodeDuplicateKey,
		"object_same_key_same_value.json":          schemas.CodeDuplicateKey,
		"object_same_key_unclear_values.json":      schemas.CodeDuplicateKey,
		"string_1_escaped_invalid_codepoint.json":  schemas.CodeSyntax,
		"string_1_invalid_codepoint.json":          schemas.CodeNotUTF8,
		"string_2_escaped_invalid_codepoints.json": schemas.CodeSyntax,
		"string_2_invalid_codepoints.json":         schemas.CodeNotUTF8,
		"string_3_escaped_invalid_codepoints.json": schemas.CodeSyntax,
		"string_3_invalid_codepoints.json":         schemas.CodeNotUTF8,
		"string_with_escaped_NULL.json":            `["A\u0000B"]`,
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d files, want %d, %v", len(files), len(want), err)
	}
	for _, path := range files {
		name := filepath.Base(path)
		b := read(t, path)
		v, canonical, err := schemas.ParseCanonical(b, schemas.DefaultLimits)
		checkParsed(t, name, b, v, err)
		var got any = string(canonical)
		if err != nil {
			got = code(err)
		}
		if got != want[name] {
			t.Errorf("%s: %v (%v), want %v", name, got, err, want[name])
		}
	}
}

// checkParsed checks what holds for every text, whatever it is.
func checkParsed(t *testing.T, name string, b []byte, v any, err error) {
	t.Helper()
	if err != nil {
		var p *schemas.ParseError
		if !errors.As(err, &p) {
			t.Fatalf("%s: error is a %T", name, err)
		}
		if v != nil || p.Code == "" || p.Offset < 0 || p.Offset > len(b) || p.Line < 1 || p.Column < 1 {
			t.Errorf("%s: %v with %+v", name, v, *p)
		}
		if strings.ContainsAny(p.Message, "\n\r\x00\x1b") || len(p.Message) > 400 {
			t.Errorf("%s: message is not a short line: %q", name, p.Message)
		}
		return
	}
	canonical, err := schemas.Marshal(v)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	again, second, err := schemas.ParseCanonical(canonical, schemas.Limits{Bytes: 1 << 30})
	if err != nil || !bytes.Equal(second, canonical) || !reflect.DeepEqual(again, v) {
		t.Errorf("%s: %s parses to %v and prints as %s, %v", name, canonical, again, second, err)
	}
	if !schemas.IsCanonical(canonical) {
		t.Errorf("%s: %s is not taken for canonical", name, canonical)
	}
	if schemas.IsCanonical(b) != bytes.Equal(b, canonical) {
		t.Errorf("%s: IsCanonical is %v, the canonical form is %s", name, schemas.IsCanonical(b), canonical)
	}
	rfc, err := schemas.Canonical(b)
	if err != nil || !bytes.Equal(rfc, canonical) {
		t.Errorf("%s: Canonical is %s, %v, but Marshal printed %s", name, rfc, err, canonical)
	}
	var std any
	if err := json.Unmarshal(b, &std); err != nil {
		t.Errorf("%s: encoding/json refuses what Parse takes: %v", name, err)
	}
}

func code(err error) schemas.ParseCode {
	var p *schemas.ParseError
	if errors.As(err, &p) {
		return p.Code
	}
	return ""
}

// TestRFC8785 runs the vectors of the authors of RFC 8785.
func TestRFC8785(t *testing.T) {
	dir := filepath.Join(corpora(t, "jcs-rfc8785"), "testdata")
	inputs, err := filepath.Glob(filepath.Join(dir, "input", "*.json"))
	if err != nil || len(inputs) != 6 {
		t.Fatalf("%d vectors, %v", len(inputs), err)
	}
	for _, path := range inputs {
		name := filepath.Base(path)
		input := read(t, path)
		want := read(t, filepath.Join(dir, "output", name))
		got, err := schemas.Canonical(input)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v\n got %s\nwant %s", name, err, got, want)
		}
		text := read(t, filepath.Join(dir, "outhex", strings.TrimSuffix(name, ".json")+".txt"))
		octets, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
		if err != nil || !bytes.Equal(got, octets) {
			t.Errorf("%s: %v\n got %x\nwant %x", name, err, got, octets)
		}
		if !schemas.IsCanonical(want) || schemas.IsCanonical(input) {
			t.Errorf("%s: IsCanonical is %v for the output, %v for the input", name, schemas.IsCanonical(want), schemas.IsCanonical(input))
		}
		// The strict way agrees, or refuses a number that the RFC would round.
		_, strict, err := schemas.ParseCanonical(input, schemas.DefaultLimits)
		switch {
		case name == "values.json":
			if code(err) != schemas.CodeNumberChanged {
				t.Errorf("%s: %v, want %s: it has 333333333.33333329", name, err, schemas.CodeNumberChanged)
			}
		case err != nil || !bytes.Equal(strict, want):
			t.Errorf("%s: %v\n got %s\nwant %s", name, err, strict, want)
		}
	}
}
