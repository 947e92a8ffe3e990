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

// TestCargoBehindRustup: init names the program of the toolchain, and not rustup, which would ask the root what to run.
func TestCargoBehindRustup(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	bin, tool := filepath.Join(dir, "bin"), filepath.Join(dir, "toolchains/stable/bin")
	root := filepath.Join(dir, "root")
	for _, d := range []string{bin, tool, filepath.Join(root, "evil"), filepath.Join(dir, "toolchains/stable/lib/rustlib")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// A rustup as the real one is: where it is asked in the root, that decides.
	rustup := "#!/bin/sh\ncase $PWD in " + root + "*) echo " + root + "/evil/$2;; *) echo " + tool + "/$2;; esac\n"
	for path, text := range map[string]string{bin + "/rustup": rustup, tool + "/cargo-under-test": "#!/bin/sh\n", tool + "/rustc": "#!/bin/sh\n", root + "/evil/cargo-under-test": "#!/bin/sh\n"} {
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("rustup", bin+"/cargo-under-test"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	t.Chdir(root)
	if path, safe, ok := finder([]string{root})("cargo-under-test"); path != tool+"/cargo-under-test" || safe || !ok {
		t.Errorf("found %q, %t, %t", path, safe, ok)
	}
	if path, _, ok := finder([]string{root})("rustup"); path != bin+"/rustup" || !ok {
		t.Errorf("rustup itself: %q, %t", path, ok)
	}
	if err := os.WriteFile(bin+"/rustup", []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if path, _, ok := finder([]string{root})("cargo-under-test"); ok {
		t.Errorf("a rustup without a toolchain: %q", path)
	}
	// All of the toolchain is open to jobs, and its compiler is the one that cargo takes.
	env, s := map[string]string{}, Sandbox{}
	s.openRust(workspace.At(filepath.Join(dir, "ws")), tool+"/cargo-under-test", env)
	if env["RUSTC"] != tool+"/rustc" || !slices.Contains(s.Read, filepath.Join(dir, "toolchains/stable")) {
		t.Errorf("%v, %+v", env, s.Read)
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

// TestFileKindsStayOutOfCaches: where the workspace lies in a root, the caches of all sources do too.
func TestFileKindsStayOutOfCaches(t *testing.T) {
	m, err := Init(workspace.InitOptions{Cwd: t.TempDir(), Roots: []string{"."}})
	if err != nil {
		t.Fatal(err)
	}
	r := mustLoad(t, m.Workspace)
	if err := r.Roots.Check(filepath.Join(m.Workspace.Cache(), "sources/other/x")); err == nil {
		t.Error("a file of a cache can be read and written")
	}
	if err := r.Roots.Check(filepath.Join(m.Workspace.Root(), "caches/x")); err != nil {
		t.Errorf("the control: %v", err)
	}
}
