package rules

import (
	"bytes"
	"embed"
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/pipeline/kind"
)

//go:embed kinds/*.json
var kindFiles embed.FS

// manualKinds are those of the kinds that init writes which may do whatever a Makefile says.
var manualKinds = []string{"make-target"}

// initialKinds are the files of config/kinds of a new workspace: of the kinds that come with the program, those whose
// program is on this machine. They are put into the lists of the config. roots and closed are absolute: the folders in
// which jobs work, and those that are closed to them.
func initialKinds(cfg *Config, roots, closed []string) []sourceFile {
	find := finder(roots)
	var found []sourceFile
	entries, err := kindFiles.ReadDir("kinds")
	if err != nil {
		return nil // an embedded folder can always be read
	}
	for _, e := range entries {
		text, err := kindFiles.ReadFile("kinds/" + e.Name())
		if err != nil {
			continue
		}
		program, name := programOf(text), strings.TrimSuffix(e.Name(), ".json")
		path, inSafePath, ok := find(program)
		if !ok {
			continue
		}
		if !inSafePath {
			// The program, in the command line and in the examples: the first of a list.
			first := regexp.MustCompile(`\[\s*"` + regexp.QuoteMeta(program) + `"`)
			text = first.ReplaceAllLiteral(text, []byte("["+quote(path)))
		}
		text = bytes.ReplaceAll(text, []byte(`"--glob=!.*",`), []byte(`"--glob=!.*",`+closedGlobs(roots[0], closed)))
		found = append(found, sourceFile{"config/kinds/" + e.Name(), text})
		list := &cfg.Gates.Kinds.Allow
		if slices.Contains(manualKinds, name) {
			list = &cfg.Gates.Kinds.Manual
		}
		*list = append(*list, name)
	}
	return found
}

// programOf is the first element of the command line of a kind.
func programOf(text []byte) string {
	var f struct {
		Argv []any `json:"argv"`
	}
	if json.Unmarshal(text, &f) != nil || len(f.Argv) == 0 {
		return ""
	}
	program, _ := f.Argv[0].(string)
	return program
}

// closedGlobs keep a search of all of a root out of the folders that are closed to jobs, where the root contains them.
func closedGlobs(root string, closed []string) string {
	var b strings.Builder
	for _, dir := range closed {
		if rel, err := filepath.Rel(root, dir); err == nil && filepath.IsLocal(rel) && rel != "." && !strings.ContainsAny(rel, "*?[]{}!\\") {
			b.WriteString(" " + quote("--glob=!/"+filepath.ToSlash(rel)+"/") + ",")
		}
	}
	return b.String()
}

func quote(s string) string {
	text, err := plainJSON(s)
	if err != nil {
		return `""` // a text can always be printed
	}
	return string(text)
}

// KindLine is a kind in one line, for listings: its name, how it is allowed, and its parameters.
type KindLine struct {
	Name     string `json:"name"`
	Decision string `json:"decision"` // allow or manual
	Params   string `json:"params"`
	Summary  string `json:"summary"`
}

// kindLines lists the kinds of files that can be proposed.
func kindLines(files []sourceFile, lists gates.KindLists) []KindLine {
	var lines []KindLine
	for _, f := range files {
		k, faults := kind.ParseFile(f.text)
		if len(faults) > 0 {
			continue // loading the rules reports it
		}
		l := KindLine{Name: k.Name, Decision: "allow", Params: k.ParamsLine(), Summary: k.Summary}
		if slices.Contains(lists.Manual, k.Name) {
			l.Decision = "manual"
		}
		lines = append(lines, l)
	}
	return lines
}
