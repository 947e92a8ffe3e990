package pipeline

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sheratan/sheratan/hosts/agent"
	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/workspace"
)

// sandboxChecks tell at which level programs run, and of what this machine lacks, what is lost and what brings it. r is nil
// where there is no workspace, or its rules cannot be loaded.
func sandboxChecks(r *rules.Rules) []workspace.Check {
	f := sandbox.Probe()
	checks := []workspace.Check{ladderCheck(r, f)}
	for _, g := range f.Gaps {
		c := workspace.Check{Name: "sandbox", Status: workspace.HealthOK, Detail: g.Primitive + " is missing", Fix: g.Enable}
		if g.Level != "" {
			c.Status = workspace.HealthWarn
			c.Detail += ": no level " + string(g.Level)
		}
		if g.Lost != "" {
			c.Detail += ": " + g.Lost
		}
		checks = append(checks, c)
	}
	if f.UnprivilegedBPF {
		checks = append(checks, workspace.Check{Name: "sandbox", Status: workspace.HealthWarn,
			Detail: "every user may load BPF programs, which is a way into the kernel", Fix: "sysctl -w kernel.unprivileged_bpf_disabled=1"})
	}
	return checks
}

// ladderCheck says which level there is, and whether it is enough for the config.
func ladderCheck(r *rules.Rules, f sandbox.Facts) workspace.Check {
	c := workspace.Check{Name: "sandbox", Status: workspace.HealthOK,
		Detail: "this machine gives the level " + string(f.Level) + " of full, restricted, none: " + strings.Join(offers(f), ", ")}
	if r == nil {
		if f.Level == sandbox.LevelNone {
			c.Status = workspace.HealthWarn
		}
		return c
	}
	level, minimum := f.Level, r.Config.Sandbox.Minimum
	if set := r.Config.Sandbox.Level; set != "" {
		level = sandbox.Level(set)
	}
	c.Detail = fmt.Sprintf("programs run at the level %s, and not below %s; %s", level, minimum, c.Detail)
	short := rules.Below(string(level), minimum) || !given(f, level)
	switch {
	case short:
		c.Status = workspace.HealthBad
		c.Detail = fmt.Sprintf("no program is started: the config demands the level %s, and this machine gives %s", strongest(minimum, level), f.Level)
		c.Fix = lacks(f, sandbox.Level(strongest(minimum, level)))
	case level == sandbox.LevelNone:
		c.Status = workspace.HealthWarn
		c.Detail = "jobs run without a sandbox (level none), and none of sandbox.limits holds; this machine gives " + string(f.Level)
		c.Fix = `set sandbox.level in config/sheratan.json to "` + string(f.Level) + `", or allow only programs that you would let the proposer run as this user`
		if f.Level == sandbox.LevelNone {
			c.Fix = "allow only programs that you would let the proposer run as this user"
		}
	case level == sandbox.LevelRestricted:
		if text := r.Uncovered(); text != "" {
			c.Status, c.Detail, c.Fix = workspace.HealthBad, "no program is started: "+text, "sheratan config show"
		}
	}
	return c
}

func strongest(minimum string, level sandbox.Level) string {
	if rules.Below(string(level), minimum) {
		return minimum
	}
	return string(level)
}

// offers lists what the machine has to confine jobs with.
func offers(f sandbox.Facts) []string {
	have := []string{"kernel " + f.Kernel}
	if f.LandlockABI > 0 {
		have = append(have, fmt.Sprintf("Landlock ABI %d", f.LandlockABI))
	}
	for _, c := range []struct {
		name string
		ok   bool
	}{{"seccomp", f.Seccomp}, {"user namespaces", f.UserNamespaces}, {"pidfd", f.Pidfd}} {
		if c.ok {
			have = append(have, c.name)
		}
	}
	if f.CgroupV2 != "" {
		have = append(have, "cgroup v2 at "+f.CgroupV2)
	}
	return have
}

// userCheck says who jobs run as where that is somebody else, and what that one cannot use. At the level full the way to a folder is our
// own, and only its mode counts.
func userCheck(r *rules.Rules) (checks []workspace.Check) {
	u := r.User
	if u == nil {
		return nil
	}
	name := r.Config.Host.User
	groups := append([]int{u.GID}, u.Groups...)
	add := func(fix, format string, args ...any) {
		checks = append(checks, workspace.Check{Name: "host.user", Status: workspace.HealthWarn, Detail: fmt.Sprintf(format, args...), Fix: fix})
	}
	for _, dir := range slices.Concat(r.Roots.Paths(), present(r.Config.Sandbox.Read)) {
		mode, blocked := workspace.Mode(dir, u.UID, groups)
		switch {
		case blocked != "" && levelOf(r) != sandbox.LevelFull:
			add("chmod o+x "+blocked, "jobs run as %s, who cannot pass through %s to %s", name, blocked, dir)
		case mode&5 != 5:
			add("setfacl -m u:"+name+":rwx "+dir+", or chown", "jobs run as %s, whom the mode of %s does not let look into it", name, dir)
		}
	}
	_, blocked := workspace.Mode(r.Roots.Spec().Workspace, u.UID, groups)
	if blocked != "" && levelOf(r) != sandbox.LevelFull {
		add("chmod o+x "+blocked, "jobs run as %s, who cannot pass through %s to the folders of jobs", name, blocked)
	}
	if len(checks) == 0 {
		checks = append(checks, workspace.Check{Name: "host.user", Status: workspace.HealthOK, Detail: fmt.Sprintf("jobs run as %s (uid %d)", name, u.UID)})
	}
	return checks
}

// specialChecks warns of what lies where jobs look and is a way to other programs.
func specialChecks(r *rules.Rules) (checks []workspace.Check) {
	s := r.Config.Sandbox
	sockets, closed, err := agent.Special(slices.Concat(r.Roots.Paths(), present(s.Read), present(s.Caches)))
	if err != nil {
		return []workspace.Check{{Name: "roots", Status: workspace.HealthWarn, Detail: err.Error(), Fix: "make it readable, or take it out of the roots"}}
	}
	if len(sockets) > 0 {
		checks = append(checks, workspace.Check{Name: "roots", Status: workspace.HealthWarn,
			Detail: "Unix sockets lie in folders that jobs see: " + some(sockets) + "; a job with the network, and every job at the level none, can connect to them",
			Fix:    "have the programs that listen there put them elsewhere, as in $XDG_RUNTIME_DIR"})
	}
	if len(closed) > 0 {
		checks = append(checks, workspace.Check{Name: "roots", Status: workspace.HealthWarn,
			Detail: "FIFOs or devices lie in folders that jobs see, or folders too deep to be looked through: " + some(closed) + "; jobs cannot open them, and at the level restricted make nothing new in folders that have one",
			Fix:    "move them out of there"})
	}
	return checks
}

// some names the first few of a list.
func some(paths []string) string {
	const most = 3
	if len(paths) <= most {
		return strings.Join(paths, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(paths[:most], ", "), len(paths)-most)
}
