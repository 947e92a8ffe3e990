package sandbox

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReports holds the table of public reports against what it names: attempts, tests and scripts that exist.
func TestReports(t *testing.T) {
	text, err := os.ReadFile("../../docs/ESCAPES.md")
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]string{} // by folder, all test files in it
	inside := func(dir string) string {
		if _, known := sources[dir]; !known {
			files, err := filepath.Glob(filepath.Join("../..", dir, "*_test.go"))
			if err != nil || len(files) == 0 {
				t.Errorf("%s has no tests: %v", dir, err)
			}
			for _, f := range files {
				b, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				sources[dir] += string(b)
			}
		}
		return sources[dir]
	}
	there := func(name string) bool {
		if dir, test, ok := strings.Cut(name, ".Test"); ok {
			return strings.Contains(inside(dir), "\nfunc Test"+test+"(")
		}
		if strings.HasSuffix(name, ".txtar") {
			_, err := os.Stat("../../testdata/script/" + name)
			return err == nil
		}
		return strings.Contains(inside("hosts/sandbox"), `{name: "`+name+`",`)
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| report ") {
			continue
		}
		if len(cells) != 3 || seen[cells[0]] {
			t.Errorf("it is there twice, or has not three cells: %s", line)
			continue
		}
		seen[cells[0]] = true
		names := quoted.FindAllStringSubmatch(cells[2], -1)
		if len(names) == 0 {
			t.Errorf("nothing tries %s", cells[0])
		}
		for _, n := range names {
			if !there(n[1]) {
				t.Errorf("%s: there is no %s", cells[0], n[1])
			}
		}
	}
	if len(seen) < 80 {
		t.Errorf("%d reports", len(seen))
	}
	if there("an attempt that nobody makes") || there("hosts/sandbox.TestNobody") || there("nobody.txtar") {
		t.Error("everything is there")
	}
}
