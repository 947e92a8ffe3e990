package pipeline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/pipeline/job"
)

// TestProgramChangedBeforeTheStart: a program that is not the one of the rules any more does not start. The control is the same call
// before the change.
func TestProgramChangedBeforeTheStart(t *testing.T) {
	w := newWorld(t)
	tool := filepath.Join(t.TempDir(), "tool")
	put := func(text string) { w.check(os.WriteFile(tool, []byte(text), 0o755)) }
	put("#!/bin/sh\necho one\n")
	w.write(w.ws.Config(), strings.Replace(testConfig, `"exec": [`, `"exec": [{"program": "`+tool+`", "args": [], "decision": "allow"},`, 1))
	w.check(w.p.reloadRules(t.Context()))
	r, err := w.p.Rules(t.Context())
	w.check(err)
	if path, _, err := resolve(r, job.Job{}, "", []string{tool}); err != nil || path != tool {
		t.Fatalf("as it was: %s, %v", path, err)
	}
	put("#!/bin/sh\necho two\n")
	if _, _, err := resolve(r, job.Job{}, "", []string{tool}); err == nil || !strings.Contains(err.Error(), "has changed since the rules were loaded") {
		t.Errorf("changed: %v", err)
	}
}
