package rules

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sheratan/sheratan/runtime/workspace"
)

// TestFinder: a toolchain that lies where the operator's PATH leads is found, and none that lies in a root.
func TestFinder(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "sheratan-test-toolchain")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	path, safe, ok := finder(nil)(filepath.Base(program))
	if path != program || safe || !ok {
		t.Errorf("found %q, %t, %t", path, safe, ok)
	}
	if path, _, ok := finder([]string{dir})(filepath.Base(program)); ok {
		t.Errorf("in a root: found %q", path)
	}
	t.Setenv("PATH", ".")
	t.Chdir(dir)
	if path, _, ok := finder(nil)(filepath.Base(program)); ok {
		t.Errorf("by a relative path: found %q", path)
	}
}

// TestCaches: the config of a new workspace tells jobs where Go keeps its caches, and the schema takes that.
func TestCaches(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("go is not installed")
	}
	dir := t.TempDir()
	ws := workspace.At(filepath.Join(dir, "ws"))
	cfg, _ := initialConfig(ws, []string{dir}, nil, "")
	if !slices.Contains(cfg.Sandbox.Caches, cfg.Host.Env["GOCACHE"]) {
		t.Errorf("jobs cannot write to GOCACHE: %+v", cfg.Sandbox)
	}
	if !within(cfg.Host.Env["GOCACHE"], ws.Cache()) {
		t.Errorf("jobs share GOCACHE with others: %+v", cfg.Sandbox)
	}
	for _, name := range []string{"GOCACHE", "GOMODCACHE"} {
		if !filepath.IsAbs(cfg.Host.Env[name]) {
			t.Errorf("%s is %q", name, cfg.Host.Env[name])
		}
	}
	text, err := configText(cfg)
	if err != nil {
		t.Fatal(err)
	}
	back, problems := parseConfig(configName, text)
	if len(problems) > 0 || back.Host.Env["GOCACHE"] != cfg.Host.Env["GOCACHE"] {
		t.Errorf("%v, %v", problems, back.Host.Env)
	}
	none := func(string) (string, bool, bool) { return "", false, false }
	if s, env, _ := initialSandbox(ws, nil, none, nil, ""); len(env)+len(s.Caches)+len(s.Read) > 0 {
		t.Errorf("without go: %v, %+v", env, s)
	}
}

// TestHostEnv: variables that tell a job who and where it is are not for the config to set.
func TestHostEnv(t *testing.T) {
	t.Parallel()
	for name, good := range map[string]bool{"GOCACHE": true, "_x9": true, "PATH": false, "HOME": false, "TMPDIR": false, "PWD": false,
		"SHERATAN_JOB_ID": false, "SHERATAN_": false, "A=B": false, "": false, "9": false} {
		_, problems := parseConfig(configName, []byte(`{"host":{"env":{"`+name+`":"x"}}}`))
		if (len(problems) == 0) != good {
			t.Errorf("%q: %v", name, problems)
		}
	}
}
