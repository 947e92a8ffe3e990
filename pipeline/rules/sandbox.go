package rules

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/hosts/roots"
	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/runtime/workspace"
	"github.com/sheratan/sheratan/schemas"
)

// Sandbox is the object "sandbox": how programs are confined.
type Sandbox struct {
	Minimum string        `json:"minimum"`         // full, restricted or none: the level below which no program is started
	Level   string        `json:"level,omitempty"` // at which programs run; "" is the strongest that the machine gives
	Caches  []string      `json:"caches"`          // folders in whose place each source has one that its programs may change
	Read    []string      `json:"read"`            // absolute paths that every program may read, beside those of the system
	Network bool          `json:"network"`         // whether exec rules may ask for it
	Limits  SandboxLimits `json:"limits"`
}

// SandboxLimits is the object "sandbox.limits". 0 is unlimited.
type SandboxLimits struct {
	DataBytes int64 `json:"data_bytes"`
	// MemoryBytes is what a whole job may have, where the machine can limit that; 0 is as much as data_bytes.
	MemoryBytes int64 `json:"memory_bytes"`
	OpenFiles   int64 `json:"open_files"`
	FileBytes   int64 `json:"file_bytes"`
	CPUSeconds  int64 `json:"cpu_seconds"`
	Processes   int64 `json:"processes"`
	DiskBytes   int64 `json:"disk_bytes"`
}

// Sandbox returns the limits as the sandbox takes them.
func (l SandboxLimits) Sandbox() sandbox.Limits {
	return sandbox.Limits{Data: l.DataBytes, Memory: cmp.Or(l.MemoryBytes, l.DataBytes), Files: l.OpenFiles, FileSize: l.FileBytes, CPU: l.CPUSeconds,
		Processes: l.Processes, Disk: l.DiskBytes}
}

// defaultSandbox limits what nobody needs and what takes a machine down. Memory and processor time have no limit: a race
// detector maps terabytes that it never touches, and how long a job may take its timeout says.
func defaultSandbox() Sandbox {
	return Sandbox{
		Minimum: string(sandbox.LevelRestricted), Caches: []string{}, Read: []string{},
		Limits: SandboxLimits{OpenFiles: 4096, FileBytes: 8 << 30, Processes: 4096, DiskBytes: 8 << 30},
	}
}

// ladder lists the levels from the weakest.
var ladder = []string{string(sandbox.LevelNone), string(sandbox.LevelRestricted), string(sandbox.LevelFull)}

// Below reports whether level is weaker than minimum. What is neither of the levels is weaker than any.
func Below(level, minimum string) bool {
	return slices.Index(ladder, level) < slices.Index(ladder, minimum)
}

// Minimum returns the level below which no program of the source is started, and who demands it.
func (r *Rules) Minimum(source string) (level, by string) {
	level, by = r.Config.Sandbox.Minimum, "sandbox.minimum"
	bucket := r.Bucket(source)
	if own := r.Config.Sources[bucket].Sandbox; own != "" && Below(level, own) {
		return own, "sources." + bucket + ".sandbox"
	}
	return level, by
}

// checkSandbox finds what contradicts itself in the config, and paths that must not be given to a job.
func checkSandbox(ws *workspace.Workspace, name string, cfg Config) (problems []Problem) {
	problem := func(pointer, format string, args ...any) {
		problems = append(problems, Problem{File: name, Pointer: pointer, Message: fmt.Sprintf(format, args...)})
	}
	s := cfg.Sandbox
	if s.Level != "" && Below(s.Level, s.Minimum) {
		problem("/sandbox/level", "is %s, below the minimum of %s, so that no program could start: raise it, leave it out, or lower sandbox.minimum",
			s.Level, s.Minimum)
	}
	for source, entry := range cfg.Sources {
		if s.Level != "" && entry.Sandbox != "" && Below(s.Level, entry.Sandbox) {
			problem("/sources/"+schemas.EscapeToken(source)+"/sandbox", "is %s, above sandbox.level, which is %s, so that no program of this source could start: lower it, or raise sandbox.level",
				entry.Sandbox, s.Level)
		}
	}
	for i, rule := range cfg.Gates.Exec {
		if rule.Network && !s.Network {
			problem(fmt.Sprintf("/gates/exec/%d/network", i), "asks for the network, which sandbox.network does not allow: set that to true, or take this out")
		}
	}
	for _, list := range []struct {
		member string
		paths  []string
	}{{"caches", s.Caches}, {"read", s.Read}} {
		for i, path := range list.paths {
			if why := badPath(ws, path); why != "" {
				problem(fmt.Sprintf("/sandbox/%s/%d", list.member, i), "%s", why)
			}
		}
	}
	slices.SortFunc(problems, func(a, b Problem) int { return strings.Compare(a.Pointer, b.Pointer) })
	return problems
}

// checkNested finds paths that jobs could lead elsewhere, because they lie in another folder that jobs change: a link in the
// place of an inner root would have the next job work in its target. At the level full what is named by itself stays in its
// place while a job runs, so that it needs no check where nothing runs below that. At the level none there is nothing to protect.
func checkNested(ws *workspace.Workspace, name string, cfg Config, kinds []namedKind) (problems []Problem) {
	s := cfg.Sandbox
	if s.Level == string(sandbox.LevelNone) || s.Level == string(sandbox.LevelFull) || s.Minimum == string(sandbox.LevelFull) {
		return nil
	}
	changed := map[string]string{} // a folder that jobs change, and why they may
	for _, dir := range s.Caches {
		changed[dir] = "is a cache"
	}
	if why := writer(cfg, kinds); why != "" {
		for _, root := range cfg.Gates.Roots {
			changed[inWorkspace(ws, root)] = why
		}
	}
	for _, list := range []struct {
		pointer string
		paths   []string
	}{{"/gates/roots", cfg.Gates.Roots}, {"/sandbox/caches", s.Caches}, {"/sandbox/read", s.Read}} {
		for i, path := range list.paths {
			path = inWorkspace(ws, path)
			for _, dir := range slices.Sorted(maps.Keys(changed)) {
				// Where a root holds the workspace, no program runs below full: it could not be hidden.
				if dir == path || within(ws.Root(), dir) && within(path, ws.Root()) || !leads(dir, path) {
					continue
				}
				problems = append(problems, Problem{File: name, Pointer: fmt.Sprintf("%s/%d", list.pointer, i), Message: fmt.Sprintf(
					"%s lies in %s, which %s: a job could put a link in its place, and the next one would work where that leads. Take it out, "+
						"since the outer folder opens it already, move it elsewhere, or set sandbox.minimum to full", path, dir, changed[dir])})
				break
			}
		}
	}
	return problems
}

// leads reports whether jobs that change a folder decide where path leads.
func leads(dir, path string) bool {
	real, err := filepath.EvalSymlinks(dir)
	return roots.Decides(dir, path) || err == nil && roots.Decides(real, path)
}

// writer names what lets a program change the roots, "" is nothing.
func writer(cfg Config, kinds []namedKind) string {
	for i, rule := range cfg.Gates.Exec {
		if rule.Write && rule.Decision != gates.DecisionForbid {
			return fmt.Sprintf("gates.exec/%d lets %s change", i, rule.Program)
		}
	}
	for _, k := range kinds {
		if k.kind.Effect == kind.EffectWrite {
			return "the kind " + k.kind.Name + " lets a program change"
		}
	}
	return ""
}

func inWorkspace(ws *workspace.Workspace, path string) string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(ws.Root(), path)
	}
	return filepath.Clean(path)
}

// badPath says what is wrong with a path that jobs are to reach, "" is nothing.
func badPath(ws *workspace.Workspace, path string) string {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path || path == "/" {
		return fmt.Sprintf("%q is not a clean absolute path of something below /", path)
	}
	// Of a folder that is still to be made, what is there of its way.
	for at := path; ; at = filepath.Dir(at) {
		real, err := filepath.EvalSymlinks(at)
		if err != nil && at != "/" {
			continue
		}
		if err == nil && real != at {
			return fmt.Sprintf("%q leads through a symbolic link: write %q", path, filepath.Join(real, strings.TrimPrefix(path, at)))
		}
		break
	}
	for _, closed := range ws.Forbidden() {
		if real, err := filepath.EvalSymlinks(closed); err == nil {
			closed = real
		}
		if within(path, closed) || within(closed, path) {
			return fmt.Sprintf("%q would open %s to jobs: name a folder that neither holds it nor lies in it", path, ws.Rel(closed))
		}
	}
	return ""
}

// within reports whether path is dir or lies in it. Both are clean.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}
