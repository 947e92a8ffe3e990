package agent

import (
	"path/filepath"
	"strings"
)

// reserved variables tell a job who it is, or belong to its folder.
func reserved(name string) bool {
	return strings.HasPrefix(name, "SHERATAN_") || name == "HOME" || name == "TMPDIR" || name == "PWD"
}

func (a *Agent) checkEnv(env map[string]string) *failure {
	for name, value := range env {
		if reserved(name) || a.opt.EnvAllowed == nil || !a.opt.EnvAllowed(name, value) {
			return failed(CodeRefused, false, "the environment variable %q is not allowed", name)
		}
	}
	return nil
}

// env builds the whole environment of a job. What the job sets comes last, and wins over Options.Env; instead has other values for those.
func (a *Agent) env(id, mark, folder, cwd string, instead, own map[string]string) []string {
	env := make([]string, 0, len(a.opt.Env)+len(own)+6)
	for _, e := range a.opt.Env {
		name, _, _ := strings.Cut(e, "=")
		if value, ok := instead[name]; ok {
			e = name + "=" + value
		}
		if _, set := own[name]; !set && !reserved(name) {
			env = append(env, e)
		}
	}
	env = append(env, "SHERATAN_JOB_ID="+id, mark, "SHERATAN_WORK="+folder, "HOME="+filepath.Join(folder, "home"),
		"TMPDIR="+filepath.Join(folder, "tmp"), "PWD="+cwd)
	for name, value := range own {
		env = append(env, name+"="+value)
	}
	return env
}

// attemptMark is an environment entry that no other attempt has, on this machine or in another workspace on it.
func attemptMark(workDir, id string, attempt int) string {
	return "SHERATAN_ATTEMPT=" + markerPath(workDir, id, attempt)
}
