package pipeline

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/sheratan/sheratan/hosts/agent"
	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/pipeline/rules"
)

// sandboxCapability in front of a level is what a job requires that must not run below it.
const sandboxCapability = "sandbox:"

// levelOf is the level at which programs run under the rules. Nothing else than the config lowers it.
func levelOf(r *rules.Rules) sandbox.Level {
	if set := r.Config.Sandbox.Level; set != "" {
		return sandbox.Level(set)
	}
	return sandbox.Probe().Level
}

// given reports whether a machine gives a level.
func given(f sandbox.Facts, level sandbox.Level) bool {
	return !rules.Below(string(f.Level), string(level))
}

// sandboxCapabilities are the levels that programs on this machine have: theirs, and the weaker ones.
//
// The error is the machine's, which is out of something and cannot be asked now.
func sandboxCapabilities(r *rules.Rules) (list []string, err error) {
	level := sandbox.Level(r.Config.Sandbox.Level)
	if level == sandbox.LevelNone {
		return nil, nil // nothing is confined
	}
	facts := sandbox.Probe()
	if facts.Fault != nil {
		return nil, facts.Fault
	}
	if level == "" {
		level = facts.Level
	}
	if level == sandbox.LevelNone || rules.Below(string(level), r.Config.Sandbox.Minimum) || !given(facts, level) {
		return nil, nil // nothing starts, or nothing is confined
	}
	for _, l := range []sandbox.Level{sandbox.LevelFull, sandbox.LevelRestricted} {
		if !rules.Below(string(level), string(l)) {
			list = append(list, sandboxCapability+string(l))
		}
	}
	return list, nil
}

// demand says why no program of a job may start at a level: it is below what the config, the source or the job itself
// wants, or the machine does not give it. "" is no reason. What the capabilities of the host promised when the job was
// gated may be gone by now.
func demand(r *rules.Rules, f sandbox.Facts, level sandbox.Level, j job.Job) string {
	minimum, by := r.Minimum(j.Provenance.Source)
	for _, c := range j.RequiredCapabilities {
		if own, ok := strings.CutPrefix(c, sandboxCapability); ok && rules.Below(minimum, own) {
			minimum, by = own, "required_capabilities of the job"
		}
	}
	switch {
	case rules.Below(string(level), minimum) && r.Config.Sandbox.Level != "":
		return fmt.Sprintf("%s demands the sandbox level %s, and sandbox.level is %s: raise it, or lower the minimum", by, minimum, level)
	case rules.Below(string(level), minimum):
		return fmt.Sprintf("%s demands the sandbox level %s, and this machine gives %s: %s", by, minimum, level, lacks(f, sandbox.Level(minimum)))
	case !given(f, level):
		return fmt.Sprintf("sandbox.level is %s, and this machine gives %s: %s", level, f.Level, lacks(f, level))
	}
	return ""
}

// lacks names what the machine does not have for a level, with the lines that bring it.
func lacks(f sandbox.Facts, level sandbox.Level) string {
	var list []string
	for _, g := range f.Gaps {
		if g.Level != "" && !rules.Below(string(level), string(g.Level)) {
			list = append(list, g.String())
		}
	}
	if len(list) == 0 {
		return "sheratan doctor tells why"
	}
	return strings.Join(list, "; ")
}

// access says what a program may do beyond reading the roots: what the config opens to all, the caches of its source, and what the exec rule that
// allows its command line, or the kind of the operator's own, gives it.
func access(r *rules.Rules, c *caches, j job.Job) agent.Access {
	s := r.Config.Sandbox
	own := c.of(s.Caches, j.Provenance.Source, r.User)
	a := agent.Access{Read: present(s.Read), Write: slices.Sorted(maps.Values(own)), Env: inCache(r, own), Limits: s.Limits.Sandbox()}
	k, ok := r.Gates.Kind(j.Payload.Kind)
	if ok && k.Own() {
		a.WriteRoots, a.Network = k.Effect == kind.EffectWrite, k.Network && s.Network
		if k.DataBytes > 0 && (a.Limits.Data == 0 || k.DataBytes < a.Limits.Data) {
			a.Limits.Data = k.DataBytes
			if a.Limits.Memory == 0 || k.DataBytes < a.Limits.Memory {
				a.Limits.Memory = k.DataBytes
			}
		}
	}
	if params, err := kind.ParseParams(j.Payload.Kind, j.Payload.Params); err == nil {
		if p, ok := params.(kind.Exec); ok {
			d := r.Gates.Exec(p.Argv)
			a.WriteRoots, a.Unprotect, a.Network = d.Write, d.Unprotect, d.Network && s.Network
		}
	}
	return a
}

// present keeps the paths that are there.
func present(paths []string) []string {
	return slices.DeleteFunc(slices.Clone(paths), func(path string) bool {
		_, err := os.Stat(path)
		return err != nil
	})
}

// warnSandbox says once in a process that jobs are not confined.
func (p *Pipeline) warnSandbox(r *rules.Rules) {
	if p.warned || levelOf(r) != sandbox.LevelNone || r.Config.Sandbox.Minimum != string(sandbox.LevelNone) {
		return
	}
	p.warned = true
	p.warn("jobs run without a sandbox: they can do what this user can do")
}
