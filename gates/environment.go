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

// EnvAllowed reports whether a proposal may set a variable to a value. The executor asks the same. A pattern never allows one that decides which code runs:
// that has to be named.
func (r *Rules) EnvAllowed(name, value string) bool {
	if strings.HasPrefix(name, reservedEnv) || namesFile(name, value) {
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

// namesFile reports whether the value makes the C library read a file of the proposer's choice, where a name is meant:
// the data of a locale or of a time zone.
func namesFile(name, value string) bool {
	switch {
	case name == "TZ":
		value = strings.TrimPrefix(value, ":")
		return strings.HasPrefix(value, "/") || strings.Contains(value, "..")
	case name == "LANG", name == "LANGUAGE", strings.HasPrefix(name, "LC_"):
		return strings.Contains(value, "/")
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
