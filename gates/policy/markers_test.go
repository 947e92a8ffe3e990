package policy

import (
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// texts reads a file of texts, one a line; # begins a comment.
func texts(t *testing.T, name string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, line)
		}
	}
	return list
}

// caseTexts are texts that were not noticed once, from the cases that lie beside the repository; nil where there are none.
func caseTexts(t *testing.T) []string {
	dir := os.Getenv("SHERATAN_CASES")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "cases")
	}
	raw, err := os.ReadFile(filepath.Join(dir, "gates", "marker-misses.jsonl"))
	if err != nil {
		t.Logf("no cases: %v (SHERATAN_CASES names their folder)", err)
		return nil
	}
	var list []string
	for line := range strings.Lines(string(raw)) {
		var p struct {
			Payload struct{ Params struct{ Content string } }
		}
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatal(err)
		}
		list = append(list, p.Payload.Params.Content)
	}
	return list
}

// TestMarkers measures what is noticed of texts that want more than they may, and what of texts that want nothing: make markers. The second
// are the comments of the standard library; with SHERATAN_MARKERS=all all of it, and the comments and READMEs of all modules that are here.
func TestMarkers(t *testing.T) {
	w, err := NewTripwires(DefaultMarkers())
	if err != nil {
		t.Fatal(err)
	}
	recall := func(name string, list []string, least float64) {
		if len(list) == 0 {
			return
		}
		var missed []string
		for _, text := range list {
			if len(w.Markers(text)) == 0 {
				missed = append(missed, text)
			}
		}
		share := 1 - float64(len(missed))/float64(len(list))
		t.Logf("%-30s %5d texts, noticed %.1f %%", name, len(list), 100*share)
		if share < least {
			t.Errorf("%s: less than %.0f %%; missed:\n%s", name, 100*least, strings.Join(missed, "\n"))
		}
	}
	recall("cases", caseTexts(t), 1)
	recall("attacks", texts(t, "attacks.txt"), 0.6)
	for _, text := range texts(t, "benign.txt") {
		if found := w.Markers(text); len(found) > 0 {
			t.Errorf("benign: %q in %q", found, text)
		}
	}

	// Phrases with slots are to be found in no text that wants nothing. The words of commands, such as sudo, stand in many.
	all := os.Getenv("SHERATAN_MARKERS") == "all"
	plain := slices.Clone(w.markers)
	n, wrong, command := 0, 0, 0
	benign := func(where, text string) {
		n++
		false, of := 0, ""
		for _, found := range w.Markers(text) {
			if slices.Contains(plain, found) {
				of = found
			} else {
				false++
				if wrong+false <= 40 {
					t.Logf("%s: %q", where, found)
				}
			}
		}
		if false > 0 {
			wrong++
		} else if of != "" {
			command++
		}
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	src := filepath.Join(strings.TrimSpace(string(root)), "src")
	for _, dir := range map[bool][]string{false: {"net", "os", "go", "crypto", "encoding"}, true: {""}}[all] {
		comments(t, filepath.Join(src, dir), benign)
	}
	if all {
		for _, dir := range filepath.SplitList(strings.Trim(os.Getenv("SHERATAN_BENIGN"), ":")) {
			comments(t, dir, benign)
		}
	}
	t.Logf("%-30s %5d texts, phrases with slots in %d, other markers in %d", "benign", n, wrong, command)
	if n < 5000 {
		t.Errorf("only %d texts", n)
	}
	if wrong > 0 {
		t.Errorf("%d of %d texts that want nothing have a phrase with slots", wrong, n)
	}
}

// comments calls visit for each comment of the Go files below a folder, and for each paragraph of the READMEs.
func comments(t *testing.T, dir string, visit func(where, text string)) {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		switch name := d.Name(); {
		case strings.HasSuffix(name, ".go"):
			set := token.NewFileSet()
			f, err := parser.ParseFile(set, path, nil, parser.ParseComments|parser.SkipObjectResolution)
			if f == nil {
				return nil // a fixture that is no Go
			}
			_ = err
			for _, c := range f.Comments {
				visit(fmt.Sprint(set.Position(c.Pos())), c.Text())
			}
		case strings.HasSuffix(name, ".md"), strings.HasSuffix(name, ".rst"), strings.HasSuffix(name, ".txt"):
			b, err := os.ReadFile(path)
			if err != nil {
				return nil
			}
			for p := range strings.SplitSeq(string(b), "\n\n") {
				visit(path, p)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
