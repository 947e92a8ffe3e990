package rules

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/runtime/workspace"
)

// initialSandbox demands the best level that the machine gives, and opens what the toolchains of the rules need. Where it
// gives none, restricted is demanded all the same: that nothing is confined is for a person to decide.
func initialSandbox(ws *workspace.Workspace, roots []string, find finding, rules []gates.ExecRule, home string) (s Sandbox, env map[string]string, warnings []string) {
	s = defaultSandbox()
	facts := sandbox.Probe()
	if facts.Fault != nil {
		warnings = append(warnings, facts.Fault.Error()+"; whether this machine gives the level "+string(sandbox.LevelFull)+" is not known, and it is not demanded")
	}
	switch facts.Level {
	case sandbox.LevelFull:
		s.Minimum = string(sandbox.LevelFull)
	case sandbox.LevelNone:
		warnings = append(warnings, "this machine has no sandbox, so that no program will be started: "+strings.Join(facts.Missing, "; ")+
			`; "sandbox": {"minimum": "none"} in `+configName+" would start them unconfined")
	case sandbox.LevelRestricted:
		if text := uncovered(ws, roots); text != "" {
			warnings = append(warnings, text)
		}
	}
	env = s.openGo(ws, find, home)
	for _, r := range rules {
		if !filepath.IsAbs(r.Program) {
			continue
		}
		if real, err := filepath.EvalSymlinks(r.Program); err == nil {
			if filepath.Base(real) == "cargo" {
				s.openRust(ws, real, env)
			}
			s.openRead(ws, filepath.Dir(real))
		}
	}
	return s, env, warnings
}

// uncovered tells which root holds what is closed to jobs, "" where none does. Only the level full can hide one inside
// the other.
func uncovered(ws *workspace.Workspace, roots []string) string {
	for _, root := range roots {
		for _, closed := range ws.Forbidden() {
			if within(closed, root) {
				return fmt.Sprintf("the root %s holds %s, which only the level full can hide from programs: at restricted none is started; "+
					"make the workspace outside of the roots, or choose smaller roots", root, closed)
			}
		}
	}
	return ""
}

// openGo lets jobs read the modules that Go has downloaded, gives them a folder for what they build, and returns the
// variables that name both. In the empty HOME of a job Go would build the standard library each time, and have no modules.
// What this user's own builds keep is not for jobs: they could put into it what those builds then use.
func (s *Sandbox) openGo(ws *workspace.Workspace, find finding, home string) map[string]string {
	env := map[string]string{}
	program, _, ok := find("go")
	if !ok {
		return env
	}
	names := []string{"GOMODCACHE", "GOROOT"}
	cmd := exec.Command(program, append([]string{"env"}, names...)...)
	cmd.Dir = "/" // no go.mod has a say
	if home != "" {
		cmd.Env = append(os.Environ(), "HOME="+home)
	}
	text, err := cmd.Output()
	values := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if err != nil || len(values) != len(names) {
		return env // jobs are slower, and nothing else
	}
	if path, ok := usable(ws, filepath.Join(ws.Cache(), "go-build")); ok {
		env["GOCACHE"] = path
		s.Caches = append(s.Caches, path)
	}
	if path, ok := usable(ws, values[0]); ok {
		env["GOMODCACHE"] = path
		s.openRead(ws, path)
	}
	s.openRead(ws, values[1])
	return env
}

// openRust lets jobs read all of a toolchain that lies elsewhere, as rustup keeps them, and tells cargo which compiler is its own:
// the system may have another one of the same name.
func (s *Sandbox) openRust(ws *workspace.Workspace, cargo string, env map[string]string) {
	bin := filepath.Dir(cargo)
	sysroot := filepath.Dir(bin)
	if info, err := os.Stat(filepath.Join(sysroot, "lib", "rustlib")); filepath.Base(bin) != "bin" || err != nil || !info.IsDir() {
		return
	}
	s.openRead(ws, sysroot)
	for name, program := range map[string]string{"RUSTC": "rustc", "RUSTDOC": "rustdoc"} {
		if path := filepath.Join(bin, program); exists(path) {
			env[name] = path
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// openRead adds what the system's own folders do not hold.
func (s *Sandbox) openRead(ws *workspace.Workspace, path string) {
	path, ok := usable(ws, path)
	known := slices.Concat(s.Read, s.Caches, sandbox.SystemPaths())
	if ok && !slices.ContainsFunc(known, func(dir string) bool { return within(path, dir) }) {
		s.Read = append(s.Read, path)
	}
}

// usable returns a path as the config wants it, with symbolic links resolved.
func usable(ws *workspace.Workspace, path string) (string, bool) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return path, badPath(ws, path) == ""
}

// warnSandbox finds what the sandbox leaves open.
func (r *Rules) warnSandbox() {
	s := r.Config.Sandbox
	switch {
	case s.Level == string(sandbox.LevelNone):
		r.Warnings = append(r.Warnings, "sandbox.level is none: jobs can do what the user who runs them can do")
	case s.Minimum == string(sandbox.LevelNone):
		r.Warnings = append(r.Warnings, "sandbox.minimum is none: where the machine has no sandbox, jobs can do what the user who runs them can do")
	}
	for _, path := range s.Caches {
		if slices.ContainsFunc(ownCaches(), func(dir string) bool { return within(path, dir) || within(dir, path) }) &&
			!within(path, r.ws.Root()) {
			r.Warnings = append(r.Warnings, fmt.Sprintf("sandbox.caches: this user's own programs keep things in %s. Jobs do not use this folder, because each source has a cache of its own: "+
				"name a folder for jobs alone, such as %s", path, r.ws.Cache()))
		}
	}
	if s.Level == string(sandbox.LevelRestricted) {
		if text := r.Uncovered(); text != "" {
			r.Warnings = append(r.Warnings, text)
		}
	}
}

// Elsewhere finds absolute paths of the config that belong to another workspace. A clone or copy of that one has them where its
// config was written before paths in the tree were relative, and its jobs would work in the original.
func (r *Rules) Elsewhere() (list []string) {
	for _, p := range []struct {
		member string
		paths  []string
	}{{"gates.roots", r.Config.Gates.Roots}, {"sandbox.caches", r.Config.Sandbox.Caches}} {
		for _, path := range p.paths {
			if !filepath.IsAbs(path) {
				continue
			}
			if other := r.ws.Another(path); other != "" {
				list = append(list, fmt.Sprintf("%s names %s, which belongs to the workspace %s: if this one (%s) is a clone or copy of it, "+
					"name a folder of this one, relative to it", p.member, path, other, r.ws.Root()))
			}
		}
	}
	return list
}

// Uncovered tells which root holds what the level restricted cannot hide in it, "" where none does.
func (r *Rules) Uncovered() string { return uncovered(r.ws, r.Roots.Paths()) }

// ownCaches are where the programs of this user keep what they trust later.
func ownCaches() (dirs []string) {
	if dir, err := os.UserCacheDir(); err == nil {
		dirs = append(dirs, dir)
	}
	if dir := os.Getenv("GOCACHE"); filepath.IsAbs(dir) {
		dirs = append(dirs, dir)
	}
	for i, dir := range dirs {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			dirs[i] = real
		}
	}
	return dirs
}
