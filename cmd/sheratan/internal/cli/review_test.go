package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/sheratan/sheratan/gates/audit"
	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

// waitingJob is a blocked job of which every text is the given one.
func waitingJob(text string) pipeline.Look {
	params, _ := json.Marshal(map[string]any{"path": text, "content": text, "mode": "create"}) // strings marshal
	proposal, _ := json.MarshalIndent(map[string]any{"payload": map[string]any{"kind": "file_write", "params": json.RawMessage(params)}}, "", "  ")
	amended := strings.Replace(string(proposal), "file_write", "file_read", 1)
	return pipeline.Look{
		Review: pipeline.Review{
			Job: job.Job{ID: "note", Source: "crawler", ClaimedSource: text, TimeoutSeconds: 300, MaxRetries: 3, Priority: job.PriorityNormal,
				Payload: job.Payload{Kind: "file_write", Params: params}, Provenance: job.Provenance{Source: "crawler", OwnerUID: 1000}},
			Report: job.Report{Gates: []job.GateReport{{GateID: "G3", Status: job.Warn, Reasons: []job.Reason{
				{Code: "MANUAL_KIND", Message: text, Pointer: "/payload/kind", Level: job.Soft}}}}},
			DocumentSHA256: strings.Repeat("0123456789abcdef", 4), Overridable: true, Proposal: append(proposal, '\n'),
		},
		Opinions: []pipeline.Opinion{
			{Attempt: 1, Decision: audit.Pause, Error: "no answer: " + text},
			{Attempt: 2, Auditor: "local", Decision: audit.ManualReview, Report: &audit.Report{Decision: audit.ManualReview, Severity: "high", Message: text,
				Violations: []audit.Violation{{Code: "WRITES", Message: text, Pointer: "/payload/params/path"}}}},
		},
		Amendments: []pipeline.Amendment{
			{By: "auditor local", Proposal: []byte(amended + "\n")},
			{By: "the gates", Problem: text},
		},
	}
}

// reviewing is a screen with that job.
func reviewing(l pipeline.Look, colours bool) *reviewScreen {
	a := testApp(testEnv("review"))
	s := &reviewScreen{style: style{colours}, queue: []string{"first", "note", "last"}, at: 1}
	s.show(l, reviewLines(a, &l))
	return s
}

// TestReviewPictures compares what is shown with what was looked at and found good; -update rewrites it.
func TestReviewPictures(t *testing.T) {
	t.Parallel()
	for name, picture := range map[string]func(s *reviewScreen) []string{
		"wide":   func(s *reviewScreen) []string { return s.picture(100, 40) },
		"narrow": func(s *reviewScreen) []string { return s.picture(40, 12) },
		"scrolled": func(s *reviewScreen) []string {
			s.picture(60, 16)
			s.scroll(s.page)
			s.say("there is more of it")
			return s.picture(60, 16)
		},
		"reason": func(s *reviewScreen) []string { s.ask, s.input = true, "not on this mach"; return s.picture(60, 8) },
		"help":   func(s *reviewScreen) []string { s.help = true; return s.picture(60, 16) },
	} {
		got := strings.Join(picture(reviewing(waitingJob("notes/\u202etxt.exe\x1b[2J"), false)), "\n") + "\n"
		file := filepath.Join("testdata", "review", name+".txt")
		if *update {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s:\n%s\nwant\n%s", file, got, want)
		}
	}
}

// outside says what of a picture is not fit for a terminal of that size; "" is nothing.
func outside(lines []string, columns, rows int) string {
	if len(lines) > rows {
		return fmt.Sprintf("%d rows of %d", len(lines), rows)
	}
	for _, line := range lines {
		for _, code := range []string{"\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"} {
			line = strings.ReplaceAll(line, code, "")
		}
		used := 0
		for _, r := range line {
			if deceives(r) {
				return fmt.Sprintf("%q holds %U", line, r)
			}
			used += runeColumns(r)
		}
		if used > columns || !utf8.ValidString(line) {
			return fmt.Sprintf("%q has %d columns of %d", line, used, columns)
		}
	}
	return ""
}

// TestReviewFits: whatever a proposer writes, and however large the terminal is, pictures stay inside and send it nothing but
// colours.
func TestReviewFits(t *testing.T) {
	t.Parallel()
	hostile := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"\x1b[31mred", "\x1b]0;title\x07", "\u202eevil", "日本語のとても長い文", "a\r\nb\tc", "\U000e0041", "\xff\xfe",
		strings.Repeat("x", 500), "\x1b[1mbold\x1b[0m", "👩‍👩‍👧‍👦"}))
	rapid.Check(t, func(t *rapid.T) {
		s := reviewing(waitingJob(hostile.Draw(t, "text")), rapid.Bool().Draw(t, "colours"))
		s.ask, s.input = rapid.Bool().Draw(t, "ask"), strings.ToValidUTF8(escape(hostile.Draw(t, "input")), "")
		columns, rows := rapid.IntRange(2, 200).Draw(t, "columns"), rapid.IntRange(1, 60).Draw(t, "rows")
		for range rapid.IntRange(1, 5).Draw(t, "pages") {
			if text := outside(s.picture(columns, rows), columns, rows); text != "" {
				t.Fatal(text)
			}
			s.scroll(s.page)
		}
	})
}

// TestReviewFitsCatches is the control of the test above.
func TestReviewFitsCatches(t *testing.T) {
	t.Parallel()
	for _, lines := range [][]string{{"a", "b", "c"}, {"abcdef"}, {"\x1b[2J"}, {"日本語"}, {"\u202e"}, {"a\n"}} {
		if outside(lines, 5, 2) == "" {
			t.Errorf("%q passes", lines)
		}
	}
	if text := outside([]string{"\x1b[31mabcde\x1b[0m", "日本"}, 5, 2); text != "" {
		t.Error(text)
	}
}

// TestReviewRead: a job counts as read when all of its rows were on the screen, in the width that the screen has now.
func TestReviewRead(t *testing.T) {
	t.Parallel()
	s := reviewing(waitingJob(strings.Repeat("long ", 200)), false)
	s.picture(80, 10)
	if s.read() {
		t.Error("read at once")
	}
	s.help = true
	s.picture(80, 60)
	if s.help = false; s.read() {
		t.Error("read by reading the help")
	}
	s.scroll(s.need)
	if s.picture(80, 10); s.read() {
		t.Error("read by a jump to the end")
	}
	s.scroll(-s.need)
	for range 100 {
		s.scroll(s.page)
		s.picture(80, 10)
	}
	if !s.read() {
		t.Error("not read at the end")
	}
	s.top = 0
	if s.picture(20, 10); s.read() {
		t.Error("read in another width")
	}
	if s.picture(20, 2); s.read() {
		t.Error("read on a terminal with no room")
	}
}

// TestSplitKeys reads what terminals send.
func TestSplitKeys(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string][]key{
		"a": {'a'}, "\x1b": {keyEscape}, "\x1b[A\x1b[6~q": {keyUp, keyPageDown, 'q'}, "\x1bOB": {keyDown}, "\x1b[1;5C": {keyOther}, "é\r": {'é', '\r'},
		"\x1b[": {keyOther}, "\x1b\x1b": {keyEscape, keyEscape}, "\x1b[200~a\x1b[201~": {keyOther, 'a', keyOther}, "": nil,
	} {
		if got := splitKeys([]byte(typed)); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: %v, want %v", typed, got, want)
		}
	}
}
