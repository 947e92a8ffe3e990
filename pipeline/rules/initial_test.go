package rules

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
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
	cfg := initialConfig([]string{t.TempDir()}, "")
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
	if env := caches(func(string) (string, bool, bool) { return "", false, false }); len(env) > 0 {
		t.Errorf("without go: %v", env)
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
