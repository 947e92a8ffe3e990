package rules

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/gates/policy"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/workspace"
)

// Made is a workspace that Init made.
type Made struct {
	Workspace *workspace.Workspace
	Roots     []string   // as the config names them
	Made      []string   // relative to the workspace, in order; folders end in /
	Kinds     []KindLine // of config/kinds
	Warnings  []string
}

// Init makes a workspace: its folders, a config with rules for what this machine has, the default policy and AGENTS.md.
// The ledger's repository is for others to make.
func Init(o workspace.InitOptions) (*Made, error) {
	plan, err := workspace.PlanInit(o)
	if err != nil {
		return nil, err
	}
	var agents []string
	for _, a := range plan.Agents {
		agents = append(agents, a.Name)
	}
	cfg, warnings := initialConfig(plan.Workspace, absoluteRoots(plan), agents, homeOf(plan.Operator()))
	own := initialKinds(&cfg, absoluteRoots(plan), plan.Workspace.Forbidden())
	lines := kindLines(own, cfg.Gates.Kinds)
	cfg = cfg.within(plan)
	text, err := configText(cfg)
	if err != nil {
		return nil, err
	}
	mode := os.FileMode(0o600)
	files := []workspace.InitFile{{Path: "config/policies/default.json", Data: policy.Default(), Mode: mode}}
	for _, k := range own {
		files = append(files, workspace.InitFile{Path: k.name, Data: k.text, Mode: mode})
	}
	made, err := plan.Make(append(files,
		workspace.InitFile{Path: "AGENTS.md", Data: agentsText(plan, cfg, lines), Mode: 0o644},
		workspace.InitFile{Path: configName, Data: text, Mode: mode}))
	if err != nil {
		return nil, err
	}
	return &Made{Workspace: plan.Workspace, Roots: plan.Roots, Made: made, Kinds: lines, Warnings: append(plan.Warnings, warnings...)}, nil
}

// within names what lies in the tree of the workspace relative to it, as it is to stand in files that people commit.
func (c Config) within(plan *workspace.Plan) Config {
	c.Gates.Roots = plan.Roots
	for _, paths := range [][]string{c.Sandbox.Caches, c.Sandbox.Read} {
		for i, path := range paths {
			paths[i] = plan.Relative(path)
		}
	}
	root := plan.Workspace.Root()
	for name, value := range c.Host.Env {
		if rest, ok := strings.CutPrefix(value, root+"/"); ok {
			c.Host.Env[name] = workspaceMark + "/" + rest
		}
	}
	return c
}

func absoluteRoots(plan *workspace.Plan) []string {
	list := make([]string, len(plan.Roots))
	for i, r := range plan.Roots {
		if list[i] = r; !filepath.IsAbs(r) {
			list[i] = filepath.Join(plan.Workspace.Root(), r)
		}
	}
	return list
}

// homeOf is the home of a user who is not this one, "" for this one.
func homeOf(o workspace.Owner) string {
	u, err := user.LookupId(strconv.Itoa(o.UID))
	if o.UID == os.Geteuid() || err != nil {
		return ""
	}
	return u.HomeDir
}

// initialConfig is the config of a new workspace with these roots, which are absolute. agents are names of sources that get an
// entry of their own, home is where the operator's toolchains keep their things, "" is that of this process.
func initialConfig(ws *workspace.Workspace, roots []string, agents []string, home string) (cfg Config, warnings []string) {
	cfg = DefaultConfig()
	cfg.Gates.Roots = roots
	for _, agent := range agents {
		cfg.Sources[agent] = gates.DefaultSource()
	}
	find := finder(roots)
	cfg.Gates.Exec = initialExec(find)
	cfg.Sandbox, cfg.Host.Env, warnings = initialSandbox(ws, roots, find, cfg.Gates.Exec, home)
	if _, _, ok := find("git"); ok {
		maps.Copy(cfg.Host.Env, carefulGit)
	}
	return cfg, warnings
}

// carefulGit keeps git from repositories that anybody can make without a .git, which the file kinds never touch: a folder
// with a HEAD, a config, objects and refs is a bare repository, and its config names programs to run. Git that only looks
// takes no locks. And it does not ask for the config of the system, which jobs do not see: that a file cannot be read,
// where it could be missing, is the end of git.
var carefulGit = map[string]string{
	"GIT_CONFIG_COUNT":    "1",
	"GIT_CONFIG_KEY_0":    "safe.bareRepository",
	"GIT_CONFIG_VALUE_0":  "explicit",
	"GIT_CONFIG_NOSYSTEM": "1",
	"GIT_OPTIONAL_LOCKS":  "0",
}

// finding says where a program is; ok is false for one that is not there, or that lies in a root.
type finding func(program string) (path string, inSafePath, ok bool)

// finder looks for programs in the folders that only root can write to, then where toolchains usually are, and then where
// the one who runs init finds them. A program in a root is none: jobs could replace it.
func finder(roots []string) finding {
	resolve := gates.NewResolver(append(slices.Clone(safePath), toolchainFolders...))
	inRoot := func(path string) bool {
		return slices.ContainsFunc(roots, func(root string) bool { return within(path, root) })
	}
	return func(program string) (string, bool, bool) {
		found, err := resolve(program)
		if err != nil {
			if path, lookErr := exec.LookPath(program); lookErr == nil && filepath.IsAbs(path) {
				found, err = resolve(filepath.Clean(path))
			}
		}
		if err == nil {
			found, err = behindRustup(resolve, program, found)
		}
		if err != nil || inRoot(found.Path) || inRoot(found.Real) {
			return "", false, false
		}
		return found.Path, slices.Contains(safePath, filepath.Dir(found.Path)), true
	}
}

// behindRustup returns the program of the toolchain itself for one that is rustup under another name. Which toolchain that runs, a
// rust-toolchain.toml in the folder decides, and it may name one in the root; and rustup needs settings that jobs do not see.
func behindRustup(resolve func(string) (gates.Found, error), program string, found gates.Found) (gates.Found, error) {
	if program == "rustup" || filepath.Base(found.Real) != "rustup" {
		return found, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), rustupTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, found.Real, "which", program)
	cmd.Dir = "/" // no rust-toolchain.toml has a say
	text, err := cmd.Output()
	path := strings.TrimSuffix(string(text), "\n")
	if err != nil || !filepath.IsAbs(path) {
		return gates.Found{}, fmt.Errorf("rustup which %s: %q, %w", program, path, errors.Join(err, gates.ErrNoProgram))
	}
	return resolve(filepath.Clean(path))
}

// rustupTime bounds how long init waits for rustup to say where a program is.
const rustupTime = 10 * time.Second

// initialFile is what of the config is written out, so that every default that people change is there to be seen. Lists
// that come with the program and grow with it, such as the markers, are left to it.
type initialFile struct {
	Schema    string        `json:"$schema"`
	Sources   gates.Sources `json:"sources"`
	Limits    gates.Limits  `json:"limits"`
	Gates     initialGates  `json:"gates"`
	Host      Host          `json:"host"`
	Sandbox   Sandbox       `json:"sandbox"`
	Operators Operators     `json:"operators"`
}

type initialGates struct {
	Kinds       gates.KindLists               `json:"kinds"`
	Roots       []string                      `json:"roots"`
	Env         []string                      `json:"env"`
	Levels      map[string]job.Level          `json:"levels"`
	CrossSource []gates.CrossSourceDependency `json:"cross_source_dependencies"`
	Exec        []gates.ExecRule              `json:"exec"`
}

func configText(cfg Config) ([]byte, error) {
	text, err := plainJSON(initialFile{
		Schema:    cfg.Schema,
		Sources:   cfg.Sources,
		Limits:    cfg.Limits,
		Gates:     initialGates{cfg.Gates.Kinds, cfg.Gates.Roots, cfg.Gates.Env, cfg.Gates.Levels, cfg.Gates.CrossSource, cfg.Gates.Exec},
		Host:      cfg.Host,
		Sandbox:   cfg.Sandbox,
		Operators: cfg.Operators,
	})
	if err != nil {
		return nil, err
	}
	return append(pretty(text), '\n'), nil
}

// plainJSON is json.Marshal for text that people read and browsers don't.
func plainJSON(v any) ([]byte, error) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), err
}
