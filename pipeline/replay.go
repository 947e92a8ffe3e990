package pipeline

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/index"
)

// Change is one verdict that other rules would change.
type Change struct {
	JobID        string   `json:"job_id"`
	Status       string   `json:"status"`
	Before       string   `json:"before"`
	After        string   `json:"after"`
	BeforeAction string   `json:"before_action"`
	AfterAction  string   `json:"after_action"`
	Codes        []string `json:"codes"` // reasons under the other rules
}

// PolicyReplay gates the recorded proposals again, under another config file or ("") under the rules as they are now, and
// emits those whose verdict would be another than the last one in the ledger. Nothing is changed.
func (p *Pipeline) PolicyReplay(ctx context.Context, configFile string, since time.Time, emit func(Change) error) error {
	r, err := p.Rules(ctx)
	if configFile != "" {
		r, err = rules.Load(ctx, p.ws, rules.Options{Config: configFile})
	}
	if err != nil {
		return err
	}
	after := int64(-1)
	for {
		var rows []indexRow
		err := p.view(ctx, func(x *index.Reader) (err error) {
			rows, err = x.List(index.JobFilter{Since: since, After: &after, Limit: batchJobs})
			return err
		})
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, row := range rows {
			after = row.Seq
			if row.Report.SHA256 == "" {
				continue
			}
			if err := p.replayOne(ctx, r, row, emit); err != nil {
				return err
			}
		}
	}
}

func (p *Pipeline) replayOne(ctx context.Context, r *rules.Rules, row indexRow, emit func(Change) error) error {
	var rep job.Report
	err := p.view(ctx, func(x *index.Reader) (err error) {
		rep, _, err = p.regate(ctx, x, r, row)
		return err
	})
	if err != nil || rep.Verdict == row.Verdict && rep.NextAction == row.NextAction {
		return err
	}
	c := Change{JobID: row.ID, Status: string(row.Status), Before: string(row.Verdict), After: string(rep.Verdict),
		BeforeAction: string(row.NextAction), AfterAction: string(rep.NextAction), Codes: []string{}}
	for _, g := range rep.Gates {
		for _, reason := range g.Reasons {
			c.Codes = append(c.Codes, reason.Code)
		}
	}
	return emit(c)
}

// Suggestion is the smallest change of the config that would allow some blocked jobs and none of the others.
type Suggestion struct {
	Rules   []json.RawMessage `json:"rules"`
	Pointer string            `json:"pointer"` // where in config/sheratan.json they belong
	Text    string            `json:"text"`
	Covers  []string          `json:"covers"`
}

// refusedLimit bounds how many other refused jobs a suggestion is held against.
const refusedLimit = 10000

// PolicySuggest finds the smallest rule that would allow these blocked jobs and none of the other refused ones.
func (p *Pipeline) PolicySuggest(ctx context.Context, ids []string) (Suggestion, error) {
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
	return suggest(ids, allow, deny)
}

func sameCommand(a, b job.Payload) bool {
	x, ok := argvOf(a)
	y, also := argvOf(b)
	return ok && also && slices.Equal(x, y)
}

func suggest(ids []string, allow, deny []job.Payload) (Suggestion, error) {
	s := Suggestion{Covers: ids}
	var argvs, others [][]string
	for i, pl := range allow {
		argv, ok := argvOf(pl)
		if !ok {
			return s, &StateError{ID: ids[i], Status: "a " + orNothing(pl.Kind) + " job", Want: "a rule can only be suggested for exec jobs",
				Way: "list its kind under gates.kinds.allow or gates.kinds.manual in config/sheratan.json, or sheratan why " + ids[i]}
		}
		argvs = append(argvs, argv)
	}
	for _, pl := range deny {
		if argv, ok := argvOf(pl); ok {
			others = append(others, argv)
		}
	}
	list, err := gates.Suggest(argvs, others)
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

// AddRule writes a suggested rule into the config.
func (p *Pipeline) AddRule(ctx context.Context, s Suggestion) error {
	for _, rule := range s.Rules {
		if err := rules.AddExecRule(p.ws.Config(), rule); err != nil {
			return err
		}
	}
	return p.reloadRules(ctx)
}
