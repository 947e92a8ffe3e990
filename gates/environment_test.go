package gates_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestEnvAllowed: patterns hold for names, and no value makes the C library read a file of the proposer's choice.
func TestEnvAllowed(t *testing.T) {
	t.Parallel()
	r := newBench(t, nil).rules
	for _, c := range []struct {
		name, value string
		want        bool
	}{
		{"LC_ALL", "de_DE.UTF-8", true},
		{"LANG", "C.UTF-8", true},
		{"TZ", "Europe/Berlin", true},
		{"TZ", "CET-1CEST,M3.5.0,M10.5.0/3", true},
		{"TERM", "xterm", true},
		{"LC_ALL", "/w/work/locale", false},
		{"LC_MESSAGES", "../../w/work", false},
		{"LANG", "/x", false},
		{"TZ", ":/etc/passwd", false},
		{"TZ", "/etc/passwd", false},
		{"TZ", "a/../../../../etc/passwd", false},
		{"LD_PRELOAD", "x", false},
		{"SHERATAN_JOB_ID", "", false},
	} {
		if got := r.EnvAllowed(c.name, c.value); got != c.want {
			t.Errorf("%s=%s: %t", c.name, c.value, got)
		}
	}
}

// TestSuggestionNotCredential: a suggestion does not put together a credential that an invisible character hides.
func TestSuggestionNotCredential(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	half := "d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8"
	report := b.gate(`{"payload":{"kind":"exec","params":{"argv":["true","ghp_A1b2C3\u200b` + half + `"]}}}`)
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "INVISIBLE_CHARACTER") || strings.Contains(string(text), half) {
		t.Errorf("%s", text)
	}
}
