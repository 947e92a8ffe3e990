package gates_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/pipeline/job"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestHostile compares the reports on testdata/hostile/*.json with the .txt files beside them.
func TestHostile(t *testing.T) {
	b := newBench(t, nil)
	files, err := filepath.Glob(filepath.Join("testdata", "hostile", "*.json"))
	if err != nil || len(files) < 15 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".json"), func(t *testing.T) {
			raw, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			r := b.gate(string(raw))
			if r.Approved() {
				t.Error("is approved")
			}
			got := strings.ReplaceAll(describe(r), b.dir, "WORKSPACE")
			golden := strings.TrimSuffix(f, ".json") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}

// describe prints a report in a form that is easy to review.
func describe(r job.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", r.Verdict, r.NextAction)
	for _, g := range r.Gates {
		evidence, _ := json.Marshal(g.Evidence)
		fmt.Fprintf(&b, "%s %s %s %s %s\n", g.GateID, g.Status, g.Severity, g.NextAction, evidence)
		for _, x := range g.Reasons {
			waivable := ""
			if x.Waivable {
				waivable = " waivable"
			}
			fmt.Fprintf(&b, "  %s %s%s %q: %s\n", x.Code, x.Level, waivable, x.Pointer, x.Message)
		}
		for _, p := range g.Suggestions {
			patch, _ := json.Marshal(p)
			fmt.Fprintf(&b, "  suggests %s\n", patch)
		}
	}
	return b.String()
}
