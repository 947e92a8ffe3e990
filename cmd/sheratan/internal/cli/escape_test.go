package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"plain text", "plain text"},
		{"Grüße 世界 🙂", "Grüße 世界 🙂"},
		{"", ""},
		{"\x1b[2Jgone", `\x1b[2Jgone`},
		{"a\rb\x00c\x7fd", `a\x0db\x00c\x7fd`},
		{"two\nlines\tand tab", `two\nlines\tand tab`},
		{"c1 \u009b31m", `c1 \u009b31m`},
		{"invoice\u202egpj.exe", `invoice\u202egpj.exe`},
		{"zero\u200bwidth \ufeff", `zero\u200bwidth \ufeff`},
		{"tag \U000e0041", `tag \U000e0041`},
		{"line\u2028sep\u2029", `line\u2028sep\u2029`},
		{"selector \ufe0f \U000e0100", `selector \ufe0f \U000e0100`},
		{"private \ue000", `private \ue000`},
		{"a\u00a0b\u202fc\u2003d\u3000e", `a\u00a0b\u202fc\u2003d` + "\u3000e"},
		{"filler \u3164\u115f\uffa0, blank \u2800, joiner \u034f", `filler \u3164\u115f\uffa0, blank \u2800, joiner \u034f`},
		{"bad \xff\xfe utf-8", `bad \xff\xfe utf-8`},
		{"cut \xe4\xb8", `cut \xe4\xb8`},
	} {
		if got := escape(c.in); got != c.want {
			t.Errorf("escape(%q) = %q, want %q", c.in, got, c.want)
		}
	}
	if got, want := escapeOutput("1\u00a0000\n\u3164"), "1\u00a0000\n"+`\u3164`; got != want {
		t.Errorf("escapeOutput: %q, want %q", got, want)
	}
	if got, want := escapeBlock("a\n\tb\r\x1b"), "a\n\tb"+`\x0d\x1b`; got != want {
		t.Errorf("escapeBlock: %q, want %q", got, want)
	}
}

// FuzzEscape: nothing that a terminal obeys comes out, whatever goes in.
func FuzzEscape(f *testing.F) {
	f.Add("a\x1b]0;title\a\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		out := escape(s)
		if !utf8.ValidString(out) {
			t.Fatalf("escape(%q) = %q is not UTF-8", s, out)
		}
		for _, r := range out {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zs, r) && r != ' ' && r != 0x3000 {
				t.Fatalf("escape(%q) = %q has %U", s, out, r)
			}
		}
	})
}

// TestJSONTerminal: on a terminal, JSON is escaped so that it still means the same.
func TestJSONTerminal(t *testing.T) {
	t.Parallel()
	env := testEnv("--json")
	env.StdoutTTY = true
	a := testApp(env)
	a.global.JSON = true
	a.out.setup()
	in := map[string]string{"text": "\x1b[2J \u009b \u202e tag \U000e0041 世界 \x7f"}
	if err := a.out.line(in); err != nil {
		t.Fatal(err)
	}
	got := env.stdout.String()
	if strings.ContainsAny(got, "\x1b\u009b\u202e\U000e0041\x7f") || !strings.Contains(got, "世界") {
		t.Errorf("on the terminal: %q", got)
	}
	var back map[string]string
	if err := json.Unmarshal([]byte(got), &back); err != nil || back["text"] != in["text"] {
		t.Errorf("reads back as %q, %v", back["text"], err)
	}
}

// TestTextTerminal: what a job wrote is escaped for a terminal, also where a write cuts a character in two.
func TestTextTerminal(t *testing.T) {
	t.Parallel()
	text := "世界\x1b[31m\r\nü \xff end 🙂\n"
	want := "世界" + `\x1b[31m\x0d` + "\nü " + `\xff` + " end 🙂\n"
	for size := 1; size < 8; size++ {
		var b bytes.Buffer
		w := &textTerminal{w: &b}
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			if _, err := w.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if b.String() != want {
			t.Errorf("in pieces of %d: %q, want %q", size, b.String(), want)
		}
	}
}
