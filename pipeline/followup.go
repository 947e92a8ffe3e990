package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/sheratan/sheratan/hosts/agent"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/runtime/durable"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/schemas"
)

// What a model answers can be proposals. They lie in a file of their own from before the result is recorded until they are
// jobs, so that a crash neither loses nor repeats them: the file is named by the attempt, it counts only if the ledger has that
// attempt as the one that completed the job, and the jobs that are made of it have ids that follow from its name.

// proposalsKey is the member of an answer that holds proposals.
const proposalsKey = "proposals"

// maxFollowUps bounds the proposals of one answer. How many of them may become jobs the gates say (limits.children).
const maxFollowUps = 256

// followUps is the content of such a file.
type followUps struct {
	JobID     string            `json:"job_id"`
	Attempt   int               `json:"attempt"`
	Proposals []json.RawMessage `json:"proposals"`
}

// keepFollowUps writes down what the answers of models propose. It comes before their results are recorded.
func (p *Pipeline) keepFollowUps(ended []*attempt) error {
	for _, a := range ended {
		if a.job.Payload.Kind != kind.NameLLM || a.result.Status != job.StatusCompleted {
			continue
		}
		list, err := p.proposedBy(a.result)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			continue
		}
		if len(list) > maxFollowUps {
			p.warn("%s: its answer has %d proposals, and the first %d are taken", a.row.ID, len(list), maxFollowUps)
			list = list[:maxFollowUps]
		}
		text, err := json.Marshal(followUps{JobID: a.row.ID, Attempt: a.number, Proposals: list})
		if err != nil {
			return err
		}
		if err := os.MkdirAll(p.ws.FollowUps(), 0o700); err != nil {
			return err
		}
		if err := durable.ReplaceFile(p.followUpFile(a.row.ID, a.number), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// proposedBy returns the proposals in the answer of a model: the members of an array under a key of one JSON object. Another answer
// has none.
func (p *Pipeline) proposedBy(res job.Result) ([]json.RawMessage, error) {
	answer, err := p.answerIn(res)
	if err != nil {
		return nil, err
	}
	members, _ := answer[proposalsKey].([]any)
	var list []json.RawMessage
	for _, m := range members {
		raw, err := schemas.Marshal(m)
		if err != nil {
			return nil, err
		}
		list = append(list, raw)
	}
	return list, nil
}

// answerIn reads the answer of a model, where it is one JSON object.
func (p *Pipeline) answerIn(res job.Result) (map[string]any, error) {
	for _, f := range res.Artifacts {
		if f.Name != agent.AnswerText && f.Name != agent.AnswerJSON {
			continue
		}
		text, err := os.ReadFile(p.abs(f.Path))
		if err != nil {
			return nil, err
		}
		v, err := schemas.Parse([]byte(agent.Unfenced(string(text))), schemas.DefaultLimits)
		if err != nil {
			return nil, nil
		}
		object, _ := v.(map[string]any)
		return object, nil
	}
	return nil, nil
}

// followUpFile holds what the answer to an attempt proposes, until it has become jobs.
func (p *Pipeline) followUpFile(id string, attempt int) string {
	return filepath.Join(p.ws.FollowUps(), fmt.Sprintf("%s.%d.json", id, attempt))
}

// takeFollowUps gates what jobs have proposed.
func (in *intake) takeFollowUps(ctx context.Context) error {
	dir := in.p.ws.FollowUps()
	names, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, n := range names {
		path := filepath.Join(dir, n.Name())
		id, attempt, ok := followUpName(n.Name())
		if !ok {
			continue // a file that is being written
		}
		row, known, err := in.p.find(ctx, id)
		if err != nil {
			return err
		}
		switch {
		case known && row.Status == job.StatusCompleted && row.Attempt == attempt:
			if err := in.admitFollowUps(ctx, row, path); err != nil {
				return err
			}
		case known && !row.Status.Final() && row.Attempt <= attempt:
			continue // its result is about to be recorded, or the process that was to do so has died
		}
		if err := remove(path); err != nil {
			return err
		}
	}
	return nil
}

func followUpName(name string) (id string, attempt int, ok bool) {
	base, ok := strings.CutSuffix(name, ".json")
	dot := strings.LastIndexByte(base, '.')
	if !ok || dot < 0 {
		return "", 0, false
	}
	attempt, err := strconv.Atoi(base[dot+1:])
	return base[:dot], attempt, err == nil && job.ValidID(base[:dot])
}

// admitFollowUps makes jobs of the proposals in a file: of the source of the job that made them, and of its mission.
func (in *intake) admitFollowUps(ctx context.Context, row index.Row, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var f followUps
	if err := json.Unmarshal(text, &f); err != nil {
		in.p.warn("%s: %v; it is left out", path, err)
		return nil
	}
	parent, _, err := in.p.loadIntake(row)
	if err != nil {
		return err
	}
	if err := in.flush(ctx); err != nil {
		return err
	}
	token := uuid.NewSHA1(tokenNamespace, fmt.Appendf(nil, "%s.%d", row.ID, f.Attempt)).String()
	for i, raw := range f.Proposals {
		prov := job.Provenance{Zone: job.ZoneOutput, Source: row.Source, OwnerUID: -1, Token: token, Line: i + 1, ParentID: row.ID,
			Depth: row.Depth + 1, MissionID: parent.Provenance.MissionID}
		if err := in.admitFollowUp(ctx, raw, prov); err != nil {
			return err
		}
	}
	return in.flush(ctx)
}

func (in *intake) admitFollowUp(ctx context.Context, raw []byte, prov job.Provenance) error {
	candidateOf := func(raw []byte) *candidate {
		c := newCandidate(raw, prov, in.p.stamp(), in.rules.ParseLimits())
		c.recovered = true // an earlier run may have got this far
		in.cands = append(in.cands, c)
		return c
	}
	rest, old, err := in.p.revision(ctx, raw, prov)
	if err != nil {
		return err
	}
	if old == nil {
		candidateOf(raw)
		return nil
	}
	if err := in.flush(ctx); err != nil {
		return err
	}
	c := candidateOf(rest)
	c.revise(*old)
	err = in.flush(ctx)
	if _, moved := errors.AsType[*StateError](err); moved { // somebody let the old version go on meanwhile
		in.cands = in.cands[:0]
		candidateOf(raw)
		return nil
	}
	in.p.placeAll(append(c.retired, old.ID))
	return err
}

// revision takes the member "revises" out of a follow-up that may replace the job that it names: one that came out of a job of
// the same mission too, and that was refused, failed or cancelled. Elsewhere it stays, and G1 refuses what it does not know.
func (p *Pipeline) revision(ctx context.Context, raw []byte, prov job.Provenance) (rest []byte, old *index.Row, err error) {
	v, err := schemas.Parse(raw, schemas.DefaultLimits)
	if err != nil {
		return nil, nil, nil // the gates say what is wrong
	}
	object, _ := v.(map[string]any)
	id, _ := object["revises"].(string)
	if !job.ValidID(id) || prov.MissionID == "" {
		return nil, nil, nil
	}
	row, known, err := p.find(ctx, id)
	if err != nil || !known || row.MemberOf != prov.MissionID || row.Source != prov.Source || row.ParentID == "" {
		return nil, nil, err
	}
	if row.RevisedBy != "" {
		by, known, err := p.find(ctx, row.RevisedBy)
		if err != nil || !known || by.Token != prov.Token || by.Line != prov.Line {
			return nil, nil, err
		}
	} else if revisable(row) != nil {
		return nil, nil, nil
	}
	delete(object, "revises")
	rest, err = schemas.Marshal(object)
	return rest, &row, err
}

// followUpsOf lists the jobs that came out of a job, in the order of arrival.
func (p *Pipeline) followUpsOf(r *index.Reader, row indexRow) ([]indexRow, error) {
	if n, err := r.Children(row.ID); err != nil || n == 0 {
		return nil, err
	}
	rows, err := r.List(index.JobFilter{Trace: row.TraceID})
	return slices.DeleteFunc(rows, func(x indexRow) bool { return x.ParentID != row.ID }), err
}
