package schemas

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestQuoted: what is quoted is one block of JSON that means the same, with nothing in it that is not seen.
func TestQuoted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOf(rapid.String()).Draw(t, "texts")
		text, err := Quoted("DATA", texts)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		first, last := lines[0], lines[len(lines)-1]
		body := strings.Join(lines[1:len(lines)-1], "\n")
		if mark := Digest([]byte(body))[:32]; first != "===== DATA "+mark || last != "===== END OF DATA "+mark {
			t.Fatalf("marked by %q and %q", first, last)
		}
		for _, line := range lines[1 : len(lines)-1] {
			if strings.HasPrefix(line, "=") {
				t.Fatalf("a line of its own: %q", line)
			}
		}
		if body != escapeHidden(body) {
			t.Fatalf("holds what is not seen: %q", body)
		}
		var back []string
		if err := json.Unmarshal([]byte(body), &back); err != nil || len(back) != len(texts) {
			t.Fatalf("%q: %v", body, err)
		}
		for i := range back {
			if back[i] != texts[i] {
				t.Fatalf("%q is %q", texts[i], back[i])
			}
		}
	})
}

// TestQuotedEscapes: which characters stand as escapes.
func TestQuotedEscapes(t *testing.T) {
	in := "Grüße 世界 🙂 \u00a0|\u200b|\u202e|\U000e0041|\ufe0f|\u3164|\u0085|\ue000|\u2028"
	want := "Grüße 世界 🙂 \u00a0|" + `\u200b|\u202e|\udb40\udc41|\ufe0f|\u3164|\u0085|\ue000|\u2028`
	text, err := Quoted("DATA", in)
	if err != nil || !strings.Contains(text, "\n\""+want+"\"\n") {
		t.Errorf("%v: %q", err, text)
	}
}
