package gates

import (
	"fmt"
	"strings"
)

// reservedEnv begins the names of variables that belong to Sheratan: approve refuses by them from inside a job.
const reservedEnv = "SHERATAN_"

func (r *Rules) compileEnv() []error {
	var faults []error
	for i, name := range r.config.Gates.Env {
		body := strings.TrimSuffix(name, "*")
		switch {
		case body == "":
			faults = append(faults, fmt.Errorf("/gates/env/%d: %q would allow every variable, also those that decide which code runs; list the names", i, name))
		case strings.ContainsAny(body, "*="):
			faults = append(faults, fmt.Errorf("/gates/env/%d: %q is no name of a variable, with or without a * at its end", i, name))
		case strings.HasPrefix(name, reservedEnv):
			faults = append(faults, fmt.Errorf("/gates/env/%d: variables that begin with %s are set by Sheratan alone", i, reservedEnv))
		default:
			r.env = append(r.env, name)
		}
	}
	return faults
}

// envAllowed reports whether a proposal may set a variable. A pattern never allows one that decides which code runs:
// that has to be named.
func (r *Rules) envAllowed(name string) bool {
	if strings.HasPrefix(name, reservedEnv) {
		return false
	}
	for _, allowed := range r.env {
		if allowed == name {
			return true
		}
		if prefix, ok := strings.CutSuffix(allowed, "*"); ok && strings.HasPrefix(name, prefix) && !decidesCode(name) {
			return true
		}
	}
	return false
}

// decidesCode reports whether a variable makes common programs load or run something else.
func decidesCode(name string) bool {
	switch name {
	case "PATH", "HOME", "SHELL", "IFS", "ENV", "BASH_ENV", "EDITOR", "VISUAL", "PAGER", "BROWSER", "GOFLAGS", "GOTOOLCHAIN", "GOENV", "CC", "CXX",
		"MAKEFLAGS", "RUSTC_WRAPPER", "RUSTFLAGS", "CARGO_HOME", "NODE_OPTIONS", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH",
		"PROMPT_COMMAND", "PS4", "TMPDIR", "XDG_CONFIG_HOME":
		return true
	}
	for _, prefix := range []string{"LD_", "DYLD_", "GIT_", "SSH_", "PYTHON", "PERL", "RUBY", "NODE_", "NPM_", "npm_", "LUA_", "CGO_", "CARGO_", "DOCKER_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
