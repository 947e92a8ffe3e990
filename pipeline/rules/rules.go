// Package rules loads what people decide: config/sheratan.json, the policies, kinds and prompts of a workspace. It checks all
// of it, fills in the defaults, finds the programs that exec rules name, and compiles the gates. What comes out has a
// digest over everything that can change a verdict, and every report names it.
//
// It also writes configuration: the first one of a new workspace, a rule that somebody wants to add, and the lock that
// pins the digest.
package rules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/gates/policy"
	"github.com/sheratan/sheratan/hosts/roots"
	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/runtime/workspace"
	"github.com/sheratan/sheratan/schemas"
)

// Rules are the rules in force. They do not change, and may be used by many goroutines.
type Rules struct {
	Config   Config
	Gates    *gates.Rules
	Roots    *roots.Roots
	User     *sandbox.User // who the jobs are; nil is who we are
	Digest   string        // of Document; reports name it
	Document []byte        // canonical: config with all defaults, policies, kinds, prompts, roots and programs
	Warnings []string      // what is probably not meant, but harms nobody

	ws       *workspace.Workspace
	sources  sources
	ownKinds []namedKind
	prompts  []Prompt
	path     []string
	digests  *digests
	seen     fingerprint
}

// Options change what Load loads.
type Options struct {
	Config   string // another file in the place of config/sheratan.json; the lock does not concern it
	Unlocked bool   // load what is there, whatever the lock says; nothing must be run by it
	text     []byte // in the place of what the config file holds, nil for that; an edit is loaded before it is written
}

// Load loads the rules of a workspace. The error is an *InvalidError that lists everything that is wrong, or a
// *LockedError where the rules are not those that were locked.
func Load(ctx context.Context, ws *workspace.Workspace, o Options) (*Rules, error) {
	r, problems, err := load(ctx, ws, o)
	if err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		return nil, &InvalidError{Problems: problems}
	}
	if o.Config == "" && !o.Unlocked {
		if err := checkLock(ws, r.Digest); err != nil {
			return nil, errors.Join(err, r.Roots.Close())
		}
	}
	return r, nil
}

// Check lists everything that is wrong with the rules of a workspace, and what is probably not meant. The error is about
// files that cannot be read.
func Check(ctx context.Context, ws *workspace.Workspace, o Options) (problems []Problem, warnings []string, err error) {
	r, problems, err := load(ctx, ws, o)
	if err != nil || len(problems) > 0 {
		return problems, nil, err
	}
	defer r.Roots.Close()
	if o.Config == "" && !o.Unlocked {
		var locked *LockedError
		if err := checkLock(ws, r.Digest); errors.As(err, &locked) {
			problems = append(problems, Problem{File: ws.Rel(ws.ConfigLock()), Message: locked.Error()})
		} else if err != nil {
			return nil, nil, err
		}
	}
	return problems, r.Warnings, nil
}

// load does all the work. There are rules exactly where there are neither problems nor an error.
func load(ctx context.Context, ws *workspace.Workspace, o Options) (*Rules, []Problem, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	// Before anything is read: what changes meanwhile is then seen as a change.
	seen := takeFingerprint(ws)
	src, problems, err := readSources(ws, o)
	if err != nil {
		return nil, nil, err
	}
	cfg, more := parseConfig(src.configName, src.config)
	problems = append(problems, more...)
	policies, more := parsePolicies(src.policies)
	problems = append(problems, more...)
	kinds, more := parseKinds(src.kinds)
	problems = append(problems, more...)
	prompts, more := parsePrompts(src.prompts)
	problems = append(problems, more...)
	if len(problems) > 0 {
		return nil, problems, nil
	}
	r, problems, err := compile(ws, src.configName, cfg, policies, kinds, prompts)
	if r != nil {
		r.sources, r.seen = src, seen
		r.seen.programs = programTimes(r.Gates.Programs())
	}
	return r, problems, err
}

// Defaults are the rules that init would write for a workspace whose root is dir, for looking at a proposal where there
// is no workspace.
func Defaults(ctx context.Context, dir string) (*Rules, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	// Where init would make it within a work tree: what is forbidden lies there, and not in the folders of the same names.
	ws := workspace.At(filepath.Join(abs, "sheratan"))
	cfg, _ := initialConfig(ws, []string{abs}, nil, "")
	kinds, problems := parseKinds(initialKinds(&cfg, []string{abs}, ws.Forbidden()))
	if len(problems) > 0 {
		return nil, &InvalidError{Problems: problems}
	}
	file, err := policy.Parse("default.json", policy.Default())
	if err != nil {
		return nil, err
	}
	r, problems, err := compile(ws, configName, cfg, []namedPolicy{{"default.json", file}}, kinds, nil)
	if err == nil && len(problems) > 0 {
		err = &InvalidError{Problems: problems}
	}
	return r, err
}

func compile(ws *workspace.Workspace, name string, cfg Config, policies []namedPolicy, kinds []namedKind, prompts []Prompt) (*Rules, []Problem, error) {
	cfg = cfg.at(ws.Root())
	user, problems := jobUser(name, cfg)
	if problems := slices.Concat(problems, checkSandbox(ws, name, cfg), checkNetwork(cfg, kinds)); len(problems) > 0 {
		return nil, problems, nil
	}
	remade := restoreWork(ws, cfg.Gates.Roots)
	// The caches of other sources are nothing for file kinds either; programs see them where the workspace lies in a root.
	open, err := roots.Open(ws.Root(), cfg.Gates.Roots, append(ws.Forbidden(), ws.Cache()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, []Problem{{File: name, Pointer: "/gates/roots", Message: err.Error() + ": make the folder, or take it out of the roots"}}, nil
	}
	if err != nil {
		return nil, []Problem{{File: name, Pointer: "/gates/roots", Message: err.Error()}}, nil
	}
	if problems := checkNested(ws, name, cfg, kinds); len(problems) > 0 {
		return nil, problems, open.Close()
	}
	r := &Rules{Config: cfg, User: user, Roots: open, ws: ws, ownKinds: kinds, prompts: prompts, path: programFolders(cfg.Gates.Exec, kinds)}
	r.digests = loadDigests(ws.Programs())
	r.Gates, err = gates.Compile(cfg.Config, gates.Environment{
		Kinds:    allKinds(kinds),
		Policies: files(policies),
		Prompts:  promptNames(prompts),
		Roots:    open,
		Base:     open.Paths()[0],
		Writable: writable(ws, cfg),
		Resolve:  gates.NewResolver(r.path),
		Digest:   r.digests.digest,
	})
	if err != nil {
		return nil, problemsOf(name, err, policies, kinds), open.Close()
	}
	r.digests.save()
	if r.Document, err = r.effective(policies); err != nil {
		return nil, nil, errors.Join(err, open.Close())
	}
	r.Digest = schemas.Digest(r.Document)
	r.Gates = r.Gates.WithDigest(r.Digest)
	if remade {
		r.Warnings = append(r.Warnings, "work: the folder was missing and is made again")
	}
	r.warn()
	return r, nil, nil
}

// writable are the folders beside the roots in which jobs write: their private folders, and the caches.
func writable(ws *workspace.Workspace, cfg Config) []string {
	list := []string{ws.Jobs(), ws.JobsOfUser()}
	for _, dir := range cfg.Sandbox.Caches {
		list = append(list, dir)
		if resolved, err := filepath.EvalSymlinks(dir); err == nil && resolved != dir {
			list = append(list, resolved)
		}
	}
	return list
}

// restoreWork makes the folder again in which jobs work by default, where it is a root. Without it nothing would run.
func restoreWork(ws *workspace.Workspace, rootPaths []string) bool {
	for _, path := range rootPaths {
		if filepath.Clean(path) == "work" || filepath.Clean(path) == ws.Work() {
			return os.Mkdir(ws.Work(), 0o700) == nil // what else is wrong with it is for roots.Open to say
		}
	}
	return false
}

// warn finds what is probably not meant.
func (r *Rules) warn() {
	for _, p := range r.Gates.Programs() {
		if p.Path == "" {
			r.Warnings = append(r.Warnings, fmt.Sprintf("exec rules name %s, which this machine does not have; they match nothing until it is installed", p.Name))
		}
	}
	r.warnSandbox()
	if _, ok := r.Config.Sources["*"]; !ok {
		r.Warnings = append(r.Warnings, `sources has no "*": proposals of sources without an entry of their own are refused`)
	}
	for _, root := range r.Roots.Paths() {
		if root == "/" {
			r.Warnings = append(r.Warnings, "a root is /: jobs may read whatever the user who runs them may read")
		}
	}
}

// Bucket is the name under which the jobs of a source are counted and limited: its own where it has an entry, else *.
func (r *Rules) Bucket(source string) string {
	if _, ok := r.Config.Sources[source]; ok {
		return source
	}
	return "*"
}

// LargestProposal bounds what is read of one proposal where the config does not, in bytes.
const LargestProposal = 64 << 20

// ParseLimits bounds the parsing of proposals. It is wider than the limit for the payload, so that one that is somewhat
// too large is reported by the gate for resources and not as unreadable.
func (r *Rules) ParseLimits() schemas.Limits {
	l := schemas.DefaultLimits
	switch n := r.Config.Limits.PayloadBytes; {
	case n == 0:
		l.Bytes = LargestProposal
	case n > l.Bytes/2:
		l.Bytes = min(2*n+64<<10, LargestProposal)
	}
	return l
}

// Path lists the folders in which programs are looked up, which is also the PATH for jobs.
func (r *Rules) Path() []string { return r.path }

// Changed reports whether a file that the rules were made of is no longer what it was: the config, a policy, a kind,
// a prompt, the lock, or a program.
func (r *Rules) Changed() bool {
	now := takeFingerprint(r.ws)
	now.programs = programTimes(r.Gates.Programs())
	return now != r.seen
}

// Close lets go of the roots.
func (r *Rules) Close() error { return r.Roots.Close() }

// readSources reads all files of the rules. A file that is missing or cannot be read is a problem.
func readSources(ws *workspace.Workspace, o Options) (sources, []Problem, error) {
	path, name := ws.Config(), configName
	if o.Config != "" {
		path, name = o.Config, o.Config
	}
	s := sources{configName: name, config: o.text}
	var problems []Problem
	var err error
	if s.config == nil {
		if s.config, err = readConfigFile(path); err != nil {
			return s, nil, err
		}
	}
	s.policies, err = readFolder(ws, ws.Policies(), jsonSuffix)
	if err != nil {
		return s, nil, err
	}
	s.kinds, err = readFolder(ws, ws.Kinds(), jsonSuffix)
	if err != nil {
		return s, nil, err
	}
	s.prompts, err = readFolder(ws, ws.Prompts(), promptSuffix)
	return s, problems, err
}

func readConfigFile(path string) ([]byte, error) {
	b, err := workspace.ReadText(path)
	if err != nil {
		return nil, fmt.Errorf("the configuration cannot be read: %w", err)
	}
	return b, nil
}
