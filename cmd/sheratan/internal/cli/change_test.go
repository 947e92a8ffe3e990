package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/kind"
)

// TestChangeIsShownByLine looks at the texts of files in a proposal: each line is a line, behind a margin, and the rest of
// the proposal is all there.
func TestChangeIsShownByLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind   string
		params map[string]any
		want   []string
		not    []string
	}{
		{"file_patch", map[string]any{"path": "a.go", "diff": "@@ -1,2 +1,2 @@\n-one\n+1\x1b[2J\n two\n"},
			[]string{`"diff": (4 lines, shown below)`, "\ndiff:\n| @@ -1,2 +1,2 @@\n| -one\n| +1\\x1b[2J\n|  two\n", `"path": "a.go"`}, []string{`\n-one`, "\x1b"}},
		{"file_edit", map[string]any{"path": "a.go", "old": "one\nsha256 00\n", "new": "1"},
			[]string{"\nold:\n| -one\n| -sha256 00\n", `"new": "1"`}, []string{"\nsha256 00"}},
		{"file_write", map[string]any{"path": "a.go", "content": "one\ntwo"},
			[]string{"\ncontent:\n| +one\n| +two\n(without a line break at its end)\n"}, nil},
		{"exec", map[string]any{"argv": []string{"x"}, "stdin": "one\ntwo"}, []string{`"stdin": "one\ntwo"`}, []string{margin}},
		{"file_write", map[string]any{"path": "a.go", "content": "one"}, []string{`"content": "one"`}, []string{margin}},
	} {
		params, err := json.Marshal(c.params)
		if err != nil {
			t.Fatal(err)
		}
		proposal, err := json.MarshalIndent(map[string]any{"id": "x", "payload": map[string]any{"kind": c.kind, "params": c.params}}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		text := reviewText(pipeline.Review{Job: job.Job{Payload: job.Payload{Kind: c.kind, Params: params}}, Proposal: append(proposal, '\n'),
			DocumentSHA256: "ff", Places: []kind.Place{{Pointer: "/path", Path: "/ws/work/a.go"}}})
		for _, want := range append(c.want, "\n/path is /ws/work/a.go\n", "\nsha256 ff") {
			if !strings.Contains(text, want) {
				t.Errorf("%s: without %q:\n%s", c.kind, want, text)
			}
		}
		for _, not := range c.not {
			if strings.Contains(text, not) {
				t.Errorf("%s: with %q:\n%s", c.kind, not, text)
			}
		}
	}
}
