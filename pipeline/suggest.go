package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/index"
)

// Suggestion is the smallest change of the config that would allow some blocked jobs and none of the others.
type Suggestion struct {
	Rules   []json.RawMessage `json:"rules"`
	Pointer string            `json:"pointer"` // where in config/sheratan.json they belong
	Text    string            `json:"text"`
	Covers  []string          `json:"covers"`
}

// refusedLimit bounds how many other refused jobs a suggestion is held against.
const refusedLimit = 10000

// PolicySuggest finds the smallest rules that would allow these blocked jobs and no other command line. For a program in a root
// there is one only where the operator wants it: inRoot.
func (p *Pipeline) PolicySuggest(ctx context.Context, ids []string, inRoot bool) (Suggestion, error) {
	wanted := map[string]bool{}
	var allow []job.Payload
	for _, id := range ids {
		row, err := p.row(ctx, id)
		if err != nil {
			return Suggestion{}, err
		}
		if row.Status != job.StatusQuarantined {
			return Suggestion{}, &StateError{ID: id, Status: string(row.Status), Want: "a rule is suggested for blocked jobs", Way: "sheratan jobs --status quarantined"}
		}
		_, prop, err := p.loadIntake(row)
		if err != nil {
			return Suggestion{}, err
		}
		wanted[id] = true
		allow = append(allow, prop.Payload)
	}
	var deny []job.Payload
	var rows []indexRow
	err := p.view(ctx, func(r *index.Reader) (err error) {
		rows, err = r.List(index.JobFilter{Status: []job.Status{job.StatusQuarantined, job.StatusCancelled}, Limit: refusedLimit})
		return err
	})
	if err != nil {
		return Suggestion{}, err
	}
	for _, row := range rows {
		if wanted[row.ID] || row.Verdict != job.Fail {
			continue
		}
		_, prop, err := p.loadIntake(row)
		if err != nil {
			return Suggestion{}, err
		}
		if row.Status == job.StatusQuarantined && slices.ContainsFunc(allow, func(a job.Payload) bool { return sameCommand(a, prop.Payload) }) {
			continue // the same command waits more than once: no rule could tell them apart
		}
		deny = append(deny, prop.Payload)
	}
	r, err := p.Rules(ctx)
	if err != nil {
		return Suggestion{}, err
	}
	return suggest(ids, allow, deny, func(program string) (bool, error) {
		in := liesInRoot(r, program)
		if in && !inRoot {
			return true, &InRootError{Program: program}
		}
		return in, nil
	})
}

// liesInRoot reports whether a program is named by a path in a root. A relative path can be nothing else.
func liesInRoot(r *rules.Rules, program string) bool {
	if !filepath.IsAbs(program) {
		return strings.Contains(program, "/")
	}
	return r.Roots.Check(filepath.Dir(program)) == nil
}

// InRootError says that no rule is suggested for a program because jobs can change it.
type InRootError struct{ Program string }

func (e *InRootError) Error() string {
	return e.Program + ": the program lies in a root, where jobs that may write can change it, so no rule is suggested for it; " +
		"write a kind that runs it, or propose an interpreter with the script as its argument, such as bash " + e.Program
}

func sameCommand(a, b job.Payload) bool {
	x, ok := argvOf(a)
	y, also := argvOf(b)
	return ok && also && slices.Equal(x, y)
}

func suggest(ids []string, allow, deny []job.Payload, inRoot func(program string) (bool, error)) (Suggestion, error) {
	s := Suggestion{Covers: ids}
	var argvs, others [][]string
	for i, pl := range allow {
		argv, ok := argvOf(pl)
		if !ok {
			return s, &StateError{ID: ids[i], Status: "a " + orNothing(pl.Kind) + " job", Want: "a rule can only be suggested for exec jobs",
				Way: "list its kind under gates.kinds.allow or gates.kinds.manual in config/sheratan.json, or sheratan why " + ids[i]}
		}
		if len(argv) > 0 {
			if _, err := inRoot(argv[0]); err != nil {
				return s, fmt.Errorf("%s: %w", ids[i], err)
			}
		}
		argvs = append(argvs, argv)
	}
	for _, pl := range deny {
		if argv, ok := argvOf(pl); ok {
			others = append(others, argv)
		}
	}
	list, err := gates.Suggest(argvs, others, func(program string) bool { in, _ := inRoot(program); return in })
	if err != nil {
		return s, err
	}
	for _, rule := range list {
		text, err := json.Marshal(rule)
		if err != nil {
			return s, err
		}
		s.Rules = append(s.Rules, text)
	}
	s.Pointer = "/gates/exec/-"
	s.Text = "add this to gates.exec in config/sheratan.json, then: sheratan gate --blocked"
	return s, nil
}

func argvOf(pl job.Payload) ([]string, bool) {
	params, err := kind.ParseParams(pl.Kind, pl.Params)
	if err != nil {
		return nil, false
	}
	exec, ok := params.(kind.Exec)
	return exec.Argv, ok
}

// AddRule writes a suggested rule into the config, as far as it is not there already, and returns how many rules were
// written. Where the rules are locked nothing is: the lock says that somebody reviews them first.
func (p *Pipeline) AddRule(ctx context.Context, s Suggestion) (added int, err error) {
	r, err := p.Rules(ctx)
	if err != nil {
		return 0, err
	}
	if lock := p.ws.ConfigLock(); exists(lock) {
		return 0, &RulesLockedError{lock}
	}
	var missing [][]byte
	for _, text := range s.Rules {
		var rule gates.ExecRule
		if err := json.Unmarshal(text, &rule); err != nil {
			return 0, err
		}
		if !slices.ContainsFunc(r.Config.Gates.Exec, rule.Same) {
			missing = append(missing, text)
		}
	}
	if len(missing) == 0 {
		return 0, nil
	}
	if err := rules.AddExecRules(ctx, p.ws, missing...); err != nil {
		return 0, err
	}
	return len(missing), p.reloadRules(ctx)
}

// RulesLockedError says that a rule was not written because config/sheratan.lock.json pins the rules.
type RulesLockedError struct{ File string }

func (e *RulesLockedError) Error() string {
	return e.File + ": the rules are locked, and nothing was written; review the rule and put it in by hand, or delete the file first"
}

// Missing lists the programs of suggested rules that this machine does not have.
func (p *Pipeline) Missing(ctx context.Context, s Suggestion) ([]string, error) {
	r, err := p.Rules(ctx)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, text := range s.Rules {
		var rule gates.ExecRule
		if err := json.Unmarshal(text, &rule); err != nil {
			return nil, err
		}
		for _, program := range r.Gates.Programs() {
			if program.Name == rule.Program && program.Path == "" {
				missing = append(missing, rule.Program)
			}
		}
	}
	return missing, nil
}

// Verdicts says what the gates would say of jobs now, and changes nothing.
func (p *Pipeline) Verdicts(ctx context.Context, ids []string) (lines []GateLine, err error) {
	r, err := p.Rules(ctx)
	if err != nil {
		return nil, err
	}
	err = p.view(ctx, func(x *index.Reader) error {
		for _, id := range ids {
			row, ok, err := x.Job(id)
			if err != nil {
				return err
			}
			if !ok {
				return &UnknownJobError{id}
			}
			rep, _, err := p.regate(ctx, x, r, row)
			if err != nil {
				return err
			}
			row.Verdict, row.NextAction = rep.Verdict, rep.NextAction
			lines = append(lines, gateLine(row, rep))
		}
		return nil
	})
	return lines, err
}
