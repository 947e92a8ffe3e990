package pipeline

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sheratan/sheratan/gates/secrets"
	"github.com/sheratan/sheratan/hosts"
	"github.com/sheratan/sheratan/hosts/agent"
	"github.com/sheratan/sheratan/hosts/relay"
	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/history"
	"github.com/sheratan/sheratan/runtime/ledger"
	"github.com/sheratan/sheratan/runtime/workspace"
	"github.com/sheratan/sheratan/schemas"
)

// timeNow is the clock where none is given.
func timeNow() time.Time { return time.Now() }

// localCapabilities are what this machine offers: the kinds that it can run, the programs of the exec rules, and the levels
// of the sandbox.
func localCapabilities(r *rules.Rules) ([]string, error) {
	var list []string
	for _, k := range r.Gates.Kinds() {
		if p, own := r.Gates.KindProgram(k.Name); !own || p.Real != "" {
			list = append(list, k.Name)
		}
	}
	levels, err := sandboxCapabilities(r)
	return append(append(list, programs(r)...), levels...), err
}

// localHost tells the index of this machine, in the event that a host is known by.
func (b *batch) localHost(r *rules.Rules) error {
	caps, err := localCapabilities(r)
	if err != nil {
		return err
	}
	caps = hosts.LocalHost(LocalHost, r.Config.Host.MaxConcurrent, caps).Capabilities
	doc, err := marshalCapabilities(caps)
	if err != nil {
		return err
	}
	refs, err := b.store(doc)
	if err != nil {
		return err
	}
	b.remember(refs[0].SHA256, doc)
	b.workspaceEvent("config", job.HostOnline, ledger.HostMeta{Located: located(refs[0]), Host: LocalHost,
		MaxConcurrent: r.Config.Host.MaxConcurrent}, &refs[0])
	return b.failed
}

// newAgent makes the executor of this host under the rules. The error is the machine's, which cannot say now what it has to
// confine jobs with.
func (p *Pipeline) newAgent(r *rules.Rules) (*agent.Agent, error) {
	level := sandbox.Level(r.Config.Sandbox.Level)
	facts := sandbox.Facts{Level: level}
	if level != sandbox.LevelNone {
		facts = sandbox.Probe()
	}
	if facts.Fault != nil {
		return nil, facts.Fault
	}
	if level == "" {
		level = facts.Level
	}
	folders := ""
	if r.User != nil {
		folders = p.ws.JobsOfUser()
		if err := p.ws.OpenJobs(workspace.Owner{UID: r.User.UID, GID: r.User.GID}); err != nil {
			return nil, err
		}
	}
	models := sync.OnceValue(func() *relay.Relay { return p.models(r) })
	return agent.New(agent.Options{
		Roots:     r.Roots,
		Workspace: p.ws.Root(),
		WorkDir:   p.ws.Jobs(),
		User:      r.User,
		Folders:   folders,
		Output: func(id string, attempt int) (stdout, stderr string) {
			return p.attemptFile(id, attempt, p.now(), "stdout"), p.attemptFile(id, attempt, p.now(), "stderr")
		},
		Artifacts:  func(id string, attempt int) string { return p.attemptFile(id, attempt, p.now(), "artifacts") },
		Last:       lastAttempt,
		Kind:       r.Gates.Kind,
		Resolve:    func(j job.Job, kind string, argv []string) (string, string, error) { return resolve(r, j, kind, argv) },
		EnvAllowed: r.Gates.EnvAllowed,
		Env:        baseEnv(r),
		Limit:      int64(r.Config.Limits.OutputBytes),
		Host:       LocalHost,
		Sandbox:    level,
		Demand:     func(j job.Job) string { return demand(r, facts, level, j) },
		Access:     func(j job.Job) agent.Access { return access(r, &p.caches, j) },

		Ask: func(ctx context.Context, model string, req relay.Request) (relay.Answer, error) {
			if !slices.Contains(r.Config.Gates.Models, model) {
				return relay.Answer{}, &relay.Error{Model: model, Kind: relay.Unknown, Err: errors.New("jobs may not ask it: it is not in gates.models")}
			}
			return models().AskOne(ctx, model, req)
		},

		Prompt: r.Prompt,

		DependencyBytes: int64(r.Config.Limits.DependencyBytes),
		ArtifactBytes:   int64(r.Config.Limits.ArtifactBytes),
		ArtifactCount:   r.Config.Limits.Artifacts,

		Redact: p.redacted,
		Now:    p.opts.Now,
		Warn:   p.warn,
		Worker: p.opts.Worker,
	}), nil
}

// baseEnv is the environment of every job: nothing of the operator's but where programs and the language are found, and
// what the config gives to all.
func baseEnv(r *rules.Rules) []string {
	env := []string{"PATH=" + strings.Join(r.Path(), ":")}
	for _, name := range []string{"LANG", "LC_ALL", "TZ"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	for name, v := range r.Config.Host.Env {
		env = append(env, name+"="+v) // of a name that is there twice, the later one counts
	}
	return env
}

func redactText(s string) (string, int) { return secrets.Redact(s) }

// RulesChanged reports whether a file of the configuration is newer than the rules in force.
func (p *Pipeline) RulesChanged() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rules != nil && p.rules.Changed()
}

// reloadRules loads the rules again. Where they cannot be loaded the error says why, and those in force stay.
func (p *Pipeline) reloadRules(ctx context.Context) error {
	r, err := rules.Load(ctx, p.ws, rules.Options{})
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.rules = r
	p.mu.Unlock()
	return nil
}

// InitResult is what init made.
type InitResult struct {
	Workspace *workspace.Workspace
	Roots     []string
	Made      []string
	Warnings  []string
}

// Init makes a workspace with its ledger, and writes the first events.
func Init(ctx context.Context, io workspace.InitOptions, o Options) (InitResult, error) {
	made, err := rules.Init(io)
	if err != nil {
		return InitResult{}, err
	}
	res := InitResult{Workspace: made.Workspace, Roots: made.Roots, Made: made.Made, Warnings: made.Warnings}
	if err := history.Init(made.Workspace.Runtime()); err != nil {
		return res, err
	}
	p, err := Open(ctx, made.Workspace, o)
	if err != nil {
		return res, err
	}
	r, err := p.Rules(ctx)
	if err == nil {
		err = p.transact(ctx, func(b *batch) error { return b.configured(r) })
	}
	if err == nil {
		p.projected()
	}
	if closeErr := p.Close(ctx); err == nil {
		err = closeErr
	}
	operator, ownerErr := made.Workspace.Operator()
	if err == nil {
		err = ownerErr
	}
	if err == nil && operator.UID == 0 {
		res.Warnings = append(res.Warnings, "the operator is root: jobs run as uid 0, without any capability; --operator USER makes the workspace for a user, and host.user in the config names one for jobs")
	}
	if err == nil {
		err = made.Workspace.HandOver(operator)
	}
	return res, err
}

// dryRules are the rules of a workspace, or where there is none those that init would write.
func dryRules(ctx context.Context, ws *workspace.Workspace) (*rules.Rules, error) {
	if ws != nil {
		return rules.Load(ctx, ws, rules.Options{})
	}
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	return rules.Defaults(ctx, dir)
}

// programs are the programs that exec rules name and this machine has, as capabilities.
func programs(r *rules.Rules) []string {
	var list []string
	for _, prog := range r.Gates.Programs() {
		if prog.Real != "" {
			list = append(list, "program:"+filepath.Base(prog.Name))
		}
	}
	return list
}

// marshalCapabilities makes the document of a host.
func marshalCapabilities(caps []string) ([]byte, error) {
	return schemas.Marshal(map[string]any{"$schema": "sheratan.host/v1", "id": LocalHost, "capabilities": caps})
}
