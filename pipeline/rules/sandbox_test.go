package rules

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/runtime/workspace"
)

func TestMain(m *testing.M) {
	sandbox.Main()
	os.Exit(m.Run())
}

// TestSandboxContradictions: what could never start, and what would open to jobs what is closed to them, does not load.
func TestSandboxContradictions(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ws := workspace.At(filepath.Join(dir, "ws"))
	for _, d := range []string{ws.ConfigDir(), filepath.Join(dir, "real")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		`{"sandbox":{"minimum":"full","level":"full"}}`:                                                        "",
		`{"sandbox":{"minimum":"none","level":"restricted"}}`:                                                  "",
		`{"sandbox":{"minimum":"full","level":"restricted"}}`:                                                  "/sandbox/level: is restricted, below the minimum of full",
		`{"sandbox":{"level":"none"}}`:                                                                         "/sandbox/level: is none, below the minimum of restricted",
		`{"sandbox":{"level":"restricted"},"sources":{"a":{"sandbox":"full"}}}`:                                "/sources/a/sandbox: is full, above sandbox.level",
		`{"sandbox":{"level":"full"},"sources":{"a":{"sandbox":"full"}}}`:                                      "",
		`{"gates":{"exec":[{"program":"true","decision":"allow","network":true}]}}`:                            "/gates/exec/0/network: asks for the network",
		`{"sandbox":{"network":true},"gates":{"exec":[{"program":"true","decision":"allow","network":true}]}}`: "",
		`{"sandbox":{"caches":["` + ws.Root() + `"]}}`:                                                         "/sandbox/caches/0: ",
		`{"sandbox":{"read":["/usr","` + ws.ConfigDir() + `/kinds"]}}`:                                         "/sandbox/read/1: ",
		`{"sandbox":{"read":["` + dir + `/link/below"]}}`:                                                      `write "` + dir + `/real/below"`,
		`{"sandbox":{"caches":["` + dir + `/real/new/folder"]}}`:                                               "",
		`{"sandbox":{"caches":["/usr/../etc"]}}`:                                                               "not a clean absolute path",
	} {
		cfg, problems := parseConfig(configName, []byte(text))
		if len(problems) > 0 {
			t.Errorf("%s: %v", text, problems)
			continue
		}
		got := ""
		for _, p := range checkSandbox(ws, configName, cfg) {
			got += p.String() + "\n"
		}
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s:\n%s, want %q", text, got, want)
		}
	}
}

// TestMinimumOfSource: a source can demand more than the config, and not less.
func TestMinimumOfSource(t *testing.T) {
	t.Parallel()
	cfg, problems := parseConfig(configName, []byte(`{"sandbox":{"minimum":"restricted"},"sources":{"a":{"sandbox":"full"},"b":{"sandbox":"none"},"*":{"sandbox":"full"}}}`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	r := &Rules{Config: cfg}
	for source, want := range map[string]string{"a": "full sources.a.sandbox", "b": "restricted sandbox.minimum", "c": "full sources.*.sandbox"} {
		if level, by := r.Minimum(source); level+" "+by != want {
			t.Errorf("%s: %s %s, want %s", source, level, by, want)
		}
	}
}
