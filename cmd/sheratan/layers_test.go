package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/sheratan/sheratan"

// layers are the packages of the module from the bottom up. A package imports only from lower rows, never from its own.
// The design has fewer rows: kind stands above job and gates above policy, so that within each of its rows nothing has
// to be excepted. A package that stands in no row fails the test.
var layers = [][]string{
	{"gates/audit/audittest", "gates/secrets/secretstest", "gates/words", "gates/programs", "pipeline/job", "schemas", "hosts/sandbox", "hosts/roots", "runtime/durable"},
	{"gates/secrets", "pipeline/kind", "pipeline/mission", "schemas/jsonpatch"},
	{"gates/policy"},
	{"gates", "hosts", "hosts/relay", "runtime/workspace", "runtime/ledger", "runtime/history"},
	{"gates/audit", "runtime/index", "hosts/agent", "pipeline/rules"},
	{"pipeline", "runtime/index/indextest"},
	{"cmd/sheratan/internal/mcp"},
	{"cmd/sheratan/internal/cli", "scripts/bench", "scripts/mutate", "scripts/secretsuites", "scripts/wfmission"},
	{"cmd/sheratan"},
}

// TestLayers compares every import of the module with the layers.
func TestLayers(t *testing.T) {
	imports := moduleImports(t, filepath.Join("..", ".."))
	if len(imports) < 5 {
		t.Fatalf("found only %d packages: the walk is broken", len(imports))
	}
	for _, complaint := range offences(imports) {
		t.Error(complaint)
	}
	for i, row := range layers {
		for _, pkg := range row {
			if _, ok := imports[pkg]; !ok {
				t.Errorf("row %d names %s, which does not exist", i, pkg)
			}
		}
	}
}

// TestLayersDocumented compares the table of rooms in the document with the layers.
func TestLayersDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented, want []string
	for _, m := range regexp.MustCompile("(?m)^\\| ([0-9]+) \\| `([a-z/]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, m[1]+" "+m[2])
	}
	for i, row := range layers {
		for _, pkg := range row {
			want = append(want, strconv.Itoa(i)+" "+pkg)
		}
	}
	slices.Sort(documented)
	slices.Sort(want)
	if !slices.Equal(documented, want) {
		t.Errorf("documented:\n%s\nlayers:\n%s", strings.Join(documented, "\n"), strings.Join(want, "\n"))
	}
}

// TestLayersCatch is the negative control: the check finds an import upward, one sideways, and a package without a row.
func TestLayersCatch(t *testing.T) {
	got := offences(map[string][]string{
		"pipeline/job":    {"pipeline"},
		"gates":           {"hosts", "gates/policy"},
		"runtime/durable": nil,
		"somewhere/else":  nil,
	})
	want := []string{
		"gates (row 3) imports hosts (row 3)",
		"pipeline/job (row 0) imports pipeline (row 5)",
		"somewhere/else: has no row in the layers",
	}
	if !slices.Equal(got, want) {
		t.Errorf("offences:\n got %q\nwant %q", got, want)
	}
}

// offences returns what contradicts the layers, sorted.
func offences(imports map[string][]string) []string {
	row := map[string]int{}
	for i, packages := range layers {
		for _, pkg := range packages {
			row[pkg] = i
		}
	}
	var list []string
	for pkg, used := range imports {
		from, ok := row[pkg]
		if !ok {
			list = append(list, pkg+": has no row in the layers")
			continue
		}
		for _, dep := range used {
			if to, ok := row[dep]; ok && to >= from {
				list = append(list, pkg+" (row "+strconv.Itoa(from)+") imports "+dep+" (row "+strconv.Itoa(to)+")")
			}
		}
	}
	slices.Sort(list)
	return list
}

// moduleImports maps every package under root, by its path in the module, to those packages of the module that its
// files import. Tests may reach higher than what they test.
func moduleImports(t *testing.T, root string) map[string][]string {
	t.Helper()
	imports := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != root && (strings.HasPrefix(name, ".") || name == "testdata" || isModule(path)) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(rel)
		if imports[pkg] == nil {
			imports[pkg] = []string{}
		}
		for _, spec := range file.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if dep, ok := strings.CutPrefix(name, module+"/"); ok && !slices.Contains(imports[pkg], dep) {
				imports[pkg] = append(imports[pkg], dep)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return imports
}

// isModule reports whether dir is a module of its own.
func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}
