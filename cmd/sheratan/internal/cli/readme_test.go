package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestReadmeExitCodes: the README lists every exit code that there is by now, with the meaning that the help gives.
func TestReadmeExitCodes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[int]string{}
	for _, m := range regexp.MustCompile(`(?m)^\| ([0-9]+) \| (.*) \|$`).FindAllStringSubmatch(string(text), -1) {
		code, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		listed[code] = m[2]
	}
	for code, meaning := range exitTexts {
		if code == exitRolledBack {
			continue // it comes with anchors
		}
		if !strings.HasPrefix(strings.ReplaceAll(listed[code], "`", ""), meaning) {
			t.Errorf("%d: the README says %q, the help %q", code, listed[code], meaning)
		}
		delete(listed, code)
	}
	for code, meaning := range listed {
		t.Errorf("%d: the README says %q, and there is no such code", code, meaning)
	}
}
