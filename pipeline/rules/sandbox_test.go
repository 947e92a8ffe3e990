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

// TestNestedFolders: what jobs could lead elsewhere does not load, also when one has done so already; where nothing runs below
// full, or nothing writes, it does.
func TestNestedFolders(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ws := workspace.At(filepath.Join(dir, "ws"))
	for _, d := range []string{ws.Root() + "/work/sub/deep", dir + "/outside", dir + "/cache/in"} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, link := range map[string]string{ws.Root() + "/work/taken": dir + "/outside", dir + "/byname": ws.Root() + "/work"} {
		if err := os.Symlink(link, name); err != nil {
			t.Fatal(err)
		}
	}
	const write = `,"exec":[{"program":"true","args":[],"decision":"allow","write":true}]`
	for text, want := range map[string]string{
		`{"gates":{"roots":["work","work/sub"]}}`:                                                     "",
		`{"gates":{"roots":["work","work/sub"]` + write + `}}`:                                        "/gates/roots/1: ",
		`{"gates":{"roots":["work/sub/deep","work"]` + write + `}}`:                                   "/gates/roots/0: ",
		`{"gates":{"roots":["work","work/taken"]` + write + `}}`:                                      "gates.exec/0 lets true change",
		`{"gates":{"roots":["work","` + dir + `/byname/sub"]` + write + `}}`:                          "/gates/roots/1: ",
		`{"gates":{"roots":["` + dir + `/byname","work/sub"]` + write + `}}`:                          "/gates/roots/1: ",
		`{"gates":{"roots":["work","` + dir + `/outside"]` + write + `}}`:                             "",
		`{"gates":{"roots":["work","work/sub"]` + write + `},"sandbox":{"minimum":"full"}}`:           "",
		`{"gates":{"roots":["work"]` + write + `},"sandbox":{"read":["` + ws.Root() + `/work/sub"]}}`: "/sandbox/read/0: ",
		`{"sandbox":{"caches":["` + dir + `/cache","` + dir + `/cache/in"]}}`:                         "/sandbox/caches/1: ",
		`{"gates":{"roots":["work"]` + write + `},"sandbox":{"caches":["` + dir + `/cache"]}}`:        "",
	} {
		cfg, problems := parseConfig(configName, []byte(text))
		if len(problems) > 0 {
			t.Errorf("%s: %v", text, problems)
			continue
		}
		got := ""
		for _, p := range checkNested(ws, configName, cfg, nil) {
			got += p.String() + "\n"
		}
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s:\n%s, want %q", text, got, want)
		}
	}
}
