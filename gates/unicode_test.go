package gates

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// What stands in its place is no finding, and the same characters anywhere else are one.
func TestInvisibleInPlace(t *testing.T) {
	for text, want := range map[string]flaw{
		"می\u200cخواهم":                  noFlaw, // between letters that would join
		"می\u064e\u200cخواهم":            noFlaw, // marks are passed over
		"م\u200c":                        invisible,
		"\u200cم":                        invisible,
		"م\u200c م":                      invisible,
		"ا\u200cم":                       invisible, // an alef joins nothing to its left
		"a\u200cb":                       invisible,
		"م\u200dم":                       invisible,
		"ന\u0d28\u0d4d\u200dമ":           noFlaw,
		"\u0dc1\u0dca\u200d\u0dbb\u0dd3": noFlaw,
		"क\u094d\u200cष":                 noFlaw,
		"क\u200cष":                       invisible,
		"ភាសា\u200bខ្មែរ":                noFlaw,
		"ไทย\u200bไทย":                   noFlaw,
		"ភាសា\u200b\u200bខ្មែរ":          invisible,
		"ភាសា\u200b":                     invisible,
		"a\u200bb":                       invisible,
		"ᠮᠣᠩᠭᠣᠯ\u180b":                   noFlaw,
		"a\u180b":                        invisible,
		"1\ufe0f\u20e3":                  noFlaw,
		"1\u20e3":                        noFlaw, // a keycap without its selector
		"1\ufe0f":                        invisible,
		"a\ufe0f":                        invisible,
		"↔\ufe0f":                        noFlaw,
		"❤\ufe0e":                        noFlaw,
		"❤\ufe0f\ufe0f":                  invisible,
		"❤\ufe01":                        invisible,
		"🙂\u200d↔\ufe0f":                 noFlaw,
		"🙂\u200d↔":                       noFlaw,
		"🙂\u200d🙂":                       invisible, // nobody draws it as one
		"👩🏽\u200d❤\ufe0f\u200d👨🏿":        noFlaw,
		"⛹🏻\u200d♂\ufe0f":                noFlaw,
		"👩\u200d":                        invisible,
		"\u200d👩":                        invisible,
		"🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f": noFlaw,
		"🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067":           tag,
		"🏴\U000e0068\U000e0069\U000e007f":                               tag,
		"Impossible d’ouvrir «\u00a0x\u00a0»":                           noFlaw,
		"10\u202f000":        noFlaw,
		"rm\u00a0-rf":        space,
		"「東京」\u3000京都":       noFlaw,
		"a\u3000b":           space,
		"a\r\nb":             noFlaw,
		"a\rb":               control,
		"\u09ac\u09be\u09dc": noFlaw, // excluded from composition
		"\u09dc cafe\u0301":  notNFC,
		"\u2126":             notNFC, // another name of omega
		"\u212a":             notNFC,
	} {
		in := inspect(text, argument)
		for f := bidi; f < flaws; f++ {
			if (in.found[f] > 0) != (f == want) {
				t.Errorf("%+q: %v %d times, want only %v", text, f, in.found[f], want)
			}
		}
		mended := clean(text, argument)
		if left := inspect(mended, argument); left.any() {
			t.Errorf("%+q: cleaned it is %+q, and still %v", text, mended, left)
		}
		if want == noFlaw && mended != text {
			t.Errorf("%+q: cleaned it is %+q", text, mended)
		}
	}
	// In an identifier nothing has a place.
	if in := inspect("می\u200cخواهم ❤\ufe0f", identifier); in.found[invisible] != 2 {
		t.Errorf("in an identifier: %+v", in)
	}
}

// The cases that were refused once.
func TestUnicodeFalsePositives(t *testing.T) {
	dir := os.Getenv("SHERATAN_CASES")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "cases")
	}
	raw, err := os.ReadFile(filepath.Join(dir, "gates", "unicode-false-positives.jsonl"))
	if err != nil {
		t.Skipf("no cases: %v (SHERATAN_CASES names their folder)", err)
	}
	n := 0
	for line := range strings.Lines(string(raw)) {
		var p struct {
			Payload struct {
				Kind   string
				Params map[string]any
			}
		}
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatal(err)
		}
		var w walk
		w.paths = map[string]bool{"path": true}
		w.payload(map[string]any{"kind": p.Payload.Kind, "params": p.Payload.Params})
		for _, x := range w.odd {
			n++
			if in := inspect(x.value, x.place); in.any() {
				t.Errorf("%s: %+v", line, in)
			}
		}
	}
	if n < 10 {
		t.Errorf("only %d texts", n)
	}
}

// leastBenign is how much of the text that Unicode's own locale data have in a script has to be allowed as an argument.
const leastBenign = 0.995

// At least 99.5 % of the names of languages and regions in every language and script that CLDR has are allowed: as golang.org/x/text carries
// them, and as the folder that SHERATAN_CLDR names does (cldr-localenames-full and cldr-misc-full of npm, Unicode License V3).
func TestBenignTextOfEveryScript(t *testing.T) {
	m := measured{good: map[string]int{}, all: map[string]int{}, bad: map[string][]string{}}
	for _, in := range display.Supported.Tags() {
		names, regions, scripts := display.Languages(in), display.Regions(in), display.Scripts(in)
		for _, of := range display.Values.Tags() {
			if names != nil {
				m.add(names.Name(of))
			}
			if r, c := of.Region(); c != language.No && regions != nil {
				m.add(regions.Name(r))
			}
			if s, c := of.Script(); c != language.No && scripts != nil {
				m.add(scripts.Name(s))
			}
		}
		m.add(display.Self.Name(in))
	}
	if dir := os.Getenv("SHERATAN_CLDR"); dir != "" {
		m.folder(t, dir)
	}
	var scripts []string
	for s := range m.all {
		scripts = append(scripts, s)
	}
	sort.Strings(scripts)
	for _, s := range scripts {
		share := float64(m.good[s]) / float64(m.all[s])
		t.Logf("%-25s %7d texts, %.2f %%", s, m.all[s], 100*share)
		if share < leastBenign {
			t.Errorf("%s: only %.2f %% of %d texts are allowed: %+q", s, 100*share, m.all[s], m.bad[s])
		}
	}
	if len(scripts) < 20 {
		t.Errorf("only %d scripts", len(scripts))
	}
}

// measured counts texts by their script.
type measured struct {
	good, all map[string]int
	bad       map[string][]string
}

func (m *measured) add(text string) {
	script := scriptOf(text)
	if script == "" {
		return
	}
	m.all[script]++
	if in := inspect(text, argument); !in.any() {
		m.good[script]++
	} else if len(m.bad[script]) < 5 {
		m.bad[script] = append(m.bad[script], text)
	}
}

// scriptOf is the script of most letters of a text.
func scriptOf(text string) string {
	count, best := map[string]int{}, ""
	for _, r := range text {
		if !unicode.IsLetter(r) {
			continue
		}
		for name, table := range unicode.Scripts {
			if r < 0x80 {
				name, table = "Latin", unicode.Latin
			}
			if name != "Common" && name != "Inherited" && unicode.Is(table, r) {
				if count[name]++; count[name] > count[best] {
					best = name
				}
				break
			}
		}
	}
	return best
}

// folder adds all texts of the JSON files below a folder.
func (m *measured) folder(t *testing.T, dir string) {
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".json") || !strings.Contains(path, "/main/") {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var v any
		if err := json.Unmarshal(raw, &v); err != nil {
			return err
		}
		m.value(v)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (m *measured) value(v any) {
	switch v := v.(type) {
	case string:
		m.add(v)
	case []any:
		for _, x := range v {
			m.value(x)
		}
	case map[string]any:
		for _, x := range v {
			m.value(x)
		}
	}
}
