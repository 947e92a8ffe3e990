package gates

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"

	"github.com/sheratan/sheratan/gates/policy"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/schemas"
)

// PathChecker says whether a path may be used, and opens a regular file that may, without waiting for anybody. *roots.Roots is
// one; its errors are *roots.PathError.
type PathChecker interface {
	Check(path string) error
	OpenFile(path string) (*os.File, error)
}

// Environment is what the rules need of the machine when they are compiled.
type Environment struct {
	Kinds    []kind.Kind
	Policies []policy.File
	Prompts  []string // names of the questions that jobs of the kind llm may name
	Roots    PathChecker
	Base     string   // the first root, absolute: what relative paths are relative to
	Writable []string // folders beside the roots in which jobs write, absolute; no program lies there
	// Resolve finds a program by name or absolute path. ErrNoProgram says that there is none; NewResolver makes one.
	Resolve func(program string) (Found, error)
	// Digest returns the SHA-256 of a file in hexadecimal. It is asked once for each program when the rules are compiled, and
	// later, by many goroutines, for programs in roots; the caller may remember.
	Digest func(path string) (string, error)
}

// Rules are the compiled config, kinds and policies. They do not change, and may be used by many goroutines.
type Rules struct {
	config    Config
	levels    levels
	sources   map[string]*sourceRule
	kinds     map[string]*kindRule
	kindNames []string
	prompts   []string
	env       []string // allowed names, and prefixes with *
	roots     PathChecker
	base      string // the first root
	exec      *execRules
	programs  []Program
	policies  *policy.Set
	tripwires *policy.Tripwires
	proposal  *schemas.Schema
	digest    string
}

// kindList is the list of the config in which a kind stands.
type kindList uint8

const (
	kindUnlisted kindList = iota
	kindAllowed
	kindManual
	kindForbidden
)

type kindRule struct {
	kind.Kind
	list        kindList
	schema      *schemas.Schema
	pathMembers map[string]bool // members of the params that are paths
	program     Program         // of an operator's own kind
}

// Compile checks everything that can be wrong with the rules. The error joins one for each place in the config, which it
// names by its JSON Pointer, and for each policy rule; there are no rules then.
func Compile(cfg Config, env Environment) (*Rules, error) {
	r := &Rules{config: cfg, roots: env.Roots, base: env.Base, prompts: env.Prompts}
	var faults []error
	add := func(errs ...error) { faults = append(faults, errs...) }

	add(r.compileLimits()...)
	add(r.compileSources()...)
	add(r.compileEnv()...)
	add(r.compileCross()...)

	exec := execCompiler{roots: env.Roots, base: env.Base, writable: env.Writable, resolve: env.Resolve, digest: env.Digest}
	exec.compile(cfg.Gates.Exec)
	r.exec = exec.rules
	add(exec.faults...)
	add(r.compileKinds(env.Kinds, &exec)...)
	r.programs = exec.programs

	var err error
	if r.tripwires, err = policy.NewTripwires(cfg.Gates.Markers); err != nil {
		add(fmt.Errorf("/gates/markers: %w", err))
	}
	if r.proposal, err = schemas.Lookup("proposal"); err != nil {
		add(err)
	}
	if r.policies, err = policy.Compile(env.Policies, r.view); err != nil {
		add(err)
	} else {
		var more []error
		r.levels, more = newLevels(cfg.Gates.Levels, r.policies.IDs())
		add(more...)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return r, nil
}

// WithDigest returns the rules under the digest of the effective config, policies, kinds and programs, which every report
// names.
func (r *Rules) WithDigest(sha256 string) *Rules {
	named := *r
	named.digest = sha256
	return &named
}

// Digest returns what WithDigest was given.
func (r *Rules) Digest() string { return r.digest }

// Config returns the config in force. Its maps and slices are shared and must not be changed.
func (r *Rules) Config() Config { return r.config }

func (r *Rules) compileLimits() []error {
	l := r.config.Limits
	var faults []error
	for _, x := range []struct {
		name  string
		value int
	}{
		{"timeout_seconds", l.TimeoutSeconds}, {"max_retries", l.MaxRetries}, {"payload_bytes", l.PayloadBytes},
		{"output_bytes", l.OutputBytes}, {"queue_depth", l.QueueDepth}, {"depends_on", l.DependsOn}, {"dependency_bytes", l.DependencyBytes}, {"depth", l.Depth},
		{"children", l.Children}, {"artifacts", l.Artifacts}, {"artifact_bytes", l.ArtifactBytes},
	} {
		if x.value < 0 {
			faults = append(faults, fmt.Errorf("/limits/%s: %d is negative; 0 is unlimited", x.name, x.value))
		}
	}
	return faults
}

func (r *Rules) compileSources() []error {
	var faults []error
	r.sources = make(map[string]*sourceRule, len(r.config.Sources))
	for _, name := range sortedKeys(r.config.Sources) {
		src, at := r.config.Sources[name], "/sources/"+schemas.EscapeToken(name)
		if name != "*" && !job.ValidID(name) {
			faults = append(faults, fmt.Errorf("%s: %q is not an identifier, and no inbox folder can have this name", at, name))
			continue
		}
		if src.MaxJobsPerMinute < 0 || src.MaxConcurrentJobs < 0 {
			faults = append(faults, fmt.Errorf("%s: negative limits; 0 is unlimited", at))
		}
		most, err := job.ParsePriority(src.MaxPriority)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s/max_priority: %w", at, err))
		}
		keys, err := parseSigners(src.Signers)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s%w", at, err))
		}
		r.sources[name] = &sourceRule{maxPriority: int(most), signers: keys}
	}
	return faults
}

// sourceOf returns the entry of a source, that of * where it has none of its own, nil where there is neither.
func (r *Rules) sourceOf(name string) *sourceRule {
	if s, ok := r.sources[name]; ok && name != "*" {
		return s
	}
	if !job.ValidID(name) {
		return nil
	}
	return r.sources["*"]
}

func (r *Rules) compileKinds(kinds []kind.Kind, exec *execCompiler) []error {
	var faults []error
	r.kinds = make(map[string]*kindRule, len(kinds))
	for _, k := range kinds {
		schema, err := schemas.Compile("kind."+k.Name, k.Schema)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		rule := &kindRule{Kind: k, schema: schema, pathMembers: make(map[string]bool)}
		for _, p := range k.Paths {
			if !strings.HasPrefix(p, "/") {
				faults = append(faults, fmt.Errorf("kind %s: %q is no JSON Pointer into the params", k.Name, p))
			}
			if name, ok := strings.CutPrefix(p, "/"); ok && !strings.Contains(name, "/") {
				rule.pathMembers[name] = true
			}
		}
		if k.Own() {
			if rule.program, err = exec.ownProgram(k); err != nil {
				faults = append(faults, fmt.Errorf("kind %s: %w", k.Name, err))
			}
		}
		r.kinds[k.Name] = rule
		r.kindNames = append(r.kindNames, k.Name)
	}
	slices.Sort(r.kindNames)
	lists := r.config.Gates.Kinds
	for _, l := range []struct {
		name  string
		kinds []string
		list  kindList
	}{{"allow", lists.Allow, kindAllowed}, {"manual", lists.Manual, kindManual}, {"forbid", lists.Forbid, kindForbidden}} {
		for i, name := range l.kinds {
			k, ok := r.kinds[name]
			switch {
			case ok:
				k.list = max(k.list, l.list) // in several lists, the strictest holds
			case l.list != kindForbidden:
				faults = append(faults, fmt.Errorf("/gates/kinds/%s/%d: there is no kind %q; there are %s",
					l.name, i, name, strings.Join(r.kindNames, ", ")))
			}
		}
	}
	return faults
}

// view says for policies which params of a job are paths, and what its command line is.
func (r *Rules) view(name string, params map[string]any) (paths, argv []string) {
	if k, ok := r.kinds[name]; ok {
		return k.View(params)
	}
	return nil, nil
}

func (r *Rules) compileCross() []error {
	var faults []error
	for i, x := range r.config.Gates.CrossSource {
		for _, end := range []struct{ name, value string }{{"from", x.From}, {"to", x.To}} {
			if end.value != "*" && !job.ValidID(end.value) {
				faults = append(faults, fmt.Errorf("/gates/cross_source_dependencies/%d/%s: %q is neither a source nor *", i, end.name, end.value))
			}
		}
	}
	return faults
}

// mayDepend reports whether jobs of one source may depend on those of another.
func (r *Rules) mayDepend(from, to string) bool {
	for _, x := range r.config.Gates.CrossSource {
		if (x.From == "*" || x.From == from) && (x.To == "*" || x.To == to) {
			return true
		}
	}
	return false
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
