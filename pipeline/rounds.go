package pipeline

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/sheratan/sheratan/gates/secrets"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
	"github.com/sheratan/sheratan/schemas"
)

// A mission with a goal goes on in rounds. A job asks a model for a plan; what the answer proposes becomes jobs, as with every
// answer; and when these are over, or refused, another job asks for the next plan and shows what came of them. It ends
// when the model says that it is done, proposes nothing, or the rounds or the budget are used up.

// What a model is shown of the jobs of a mission, in bytes: of each stream of those that came out of the last plan, of others,
// and of all together as it is quoted.
const (
	newsRecent  = 4 << 10
	newsEarlier = 400
	newsTotal   = 80 << 10
)

// takeRounds asks for the next plan of each goal whose jobs are over.
func (in *intake) takeRounds(ctx context.Context) error {
	var goals []index.Mission
	err := in.p.view(ctx, func(r *index.Reader) (err error) {
		goals, err = r.Goals()
		return err
	})
	for _, m := range goals {
		if err == nil && m.Ready == 0 && m.InFlight == 0 {
			err = in.takeRound(ctx, m)
		}
	}
	return err
}

func (in *intake) takeRound(ctx context.Context, m index.Mission) error {
	s, err := in.p.standing(ctx, m)
	if err != nil || !s.settled() {
		return err
	}
	// What an answer proposes lies in a file until it has become jobs. Where there is none now, they are in the index now.
	if left, err := in.p.unread(s); err != nil || left {
		return err
	}
	if s, err = in.p.standing(ctx, m); err != nil || !s.settled() {
		return err
	}
	if done, reason := in.p.finished(s, m); reason != "" {
		return in.p.endMission(ctx, m.ID, done, reason)
	}
	told, err := in.p.newsOf(s)
	if err != nil {
		return err
	}
	text, err := s.run.Goal.Plan(m.ID, s.plans+1, in.rules.Guide(), told)
	if err != nil {
		return in.p.endMission(ctx, m.ID, false, fmt.Sprintf("there is no asking for another plan: %v", err))
	}
	return in.askForPlan(ctx, m, s, text)
}

// unread reports whether an answer within a mission proposes what has not become jobs yet.
func (p *Pipeline) unread(s *standing) (bool, error) {
	for _, m := range s.members {
		if m.row.Kind != kind.NameLLM || m.row.Status != job.StatusCompleted {
			continue
		}
		_, err := os.Stat(p.followUpFile(m.row.ID, m.row.Attempt))
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return true, err
		}
	}
	return false, nil
}

func (p *Pipeline) standing(ctx context.Context, m index.Mission) (s *standing, err error) {
	err = p.view(ctx, func(r *index.Reader) error {
		s, err = p.standingOf(r, m)
		return err
	})
	return s, err
}

// finished says why no plan follows any more, "" where another one does.
func (p *Pipeline) finished(s *standing, m index.Mission) (done bool, reason string) {
	plan := s.plan.row
	if plan.Status != job.StatusCompleted {
		return false, fmt.Sprintf("%s %s: %s", plan.ID, plan.Status, plan.Error)
	}
	answer, err := p.answerTo(plan)
	said, _ := answer["summary"].(string)
	proposals, _ := answer[proposalsKey].([]any)
	switch {
	case err != nil:
		return false, fmt.Sprintf("the answer of %s cannot be read: %v", plan.ID, err)
	case answer["done"] == true:
		return true, said
	case len(proposals) == 0:
		return false, "no way to go on: " + said
	case s.plans == s.run.Goal.Rounds:
		return false, fmt.Sprintf("all %d plans are used up: %s", s.plans, said)
	case m.Stopped() != index.StopNone:
		return false, "the budget is used up: " + said
	}
	return false, ""
}

// answerTo is the answer that a job got which asked a model.
func (p *Pipeline) answerTo(row indexRow) (map[string]any, error) {
	res, ok, err := p.loadResult(row)
	if err != nil || !ok {
		return nil, errors.Join(err, errors.New("there is no result"))
	}
	return p.answerIn(res)
}

// endMission records that no plan follows any more.
func (p *Pipeline) endMission(ctx context.Context, id string, done bool, reason string) error {
	reason, _ = redactText(reason)
	return p.transact(ctx, func(b *batch) error {
		if m, ok, err := b.tx.Mission(id); err != nil || !ok || m.Goal != index.GoalOpen {
			return err
		}
		b.workspaceEvent("gate", job.MissionEnded, ledger.MissionEnded{Mission: id, Done: done, Reason: shorten(reason)}, nil)
		return b.failed
	})
}

// news is what a model is told of one job.
type news struct {
	JobID       string        `json:"job_id"`
	Status      job.Status    `json:"status"`
	Summary     string        `json:"summary,omitempty"` // of a plan
	Message     string        `json:"message,omitempty"`
	Reasons     []ReplyReason `json:"reasons,omitempty"`
	Suggestions []job.Patch   `json:"suggestions,omitempty"`
	ExitCode    *int          `json:"exit_code,omitempty"`
	Stdout      string        `json:"stdout,omitempty"`
	Stderr      string        `json:"stderr,omitempty"`
	Error       string        `json:"error,omitempty"`
}

// newsOf tells what came of the jobs of a mission, in the order of arrival. Where all together are too long, the oldest are left
// out.
func (p *Pipeline) newsOf(s *standing) ([]json.RawMessage, error) {
	members := slices.Clone(s.members)
	slices.SortFunc(members, func(a, b member) int { return cmp.Compare(b.row.Seq, a.row.Seq) })
	var list []json.RawMessage
	size := 0
	for _, m := range members {
		n, err := p.newsOfJob(s, m)
		if err != nil {
			return nil, err
		}
		text, err := n.text(p.Secrets())
		if err != nil {
			return nil, err
		}
		shown, err := schemas.Quoted("", json.RawMessage(text))
		if err != nil {
			return nil, err
		}
		if size += len(shown); size > newsTotal {
			break
		}
		list = append(list, text)
	}
	slices.Reverse(list)
	return list, nil
}

// text is what is told, without credentials: with one in it there would be no next plan, because the gates refuse it.
func (n news) text(known *secrets.Known) ([]byte, error) {
	text, err := json.Marshal(n)
	if err != nil {
		return nil, err
	}
	if clean, _ := known.Redact(string(text)); json.Valid([]byte(clean)) {
		return []byte(clean), nil
	}
	tree, err := schemas.Parse(text, schemas.DefaultLimits)
	if err != nil {
		return nil, err
	}
	tree, _ = known.RedactTree(tree)
	return schemas.Marshal(tree)
}

func (p *Pipeline) newsOfJob(s *standing, m member) (news, error) {
	n := news{JobID: m.JobID, Status: m.row.Status}
	if m.Parent == "" && m.row.Status == job.StatusCompleted {
		answer, err := p.answerTo(m.row)
		said, _ := answer["summary"].(string)
		n.Summary = cutText(said, newsRecent)
		return n, err
	}
	j, err := p.assemble(m.row)
	if err != nil {
		return n, err
	}
	r := p.replyOf(m.row, j)
	limit := newsEarlier
	if m.Parent == s.plan.TaskID {
		limit = newsRecent
	}
	n.ExitCode, n.Error = r.ExitCode, cutText(r.Error, newsEarlier)
	n.Stdout, n.Stderr = cutText(r.Stdout, limit), cutText(r.Stderr, limit)
	switch m.row.Status {
	case job.StatusQuarantined:
		n.Message, n.Reasons, n.Suggestions = cutText(r.Message, newsEarlier), r.Reasons, r.Suggestions
	case job.StatusPending:
		n.Message = "waits for " + strings.Join(m.DependsOn, ", ")
	}
	return n, nil
}

// cutText cuts a text that is longer than limit bytes.
func cutText(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit] + "…"
}

// askForPlan gates the proposal that asks for the next plan. It comes from the source of the mission, as the first one did.
func (in *intake) askForPlan(ctx context.Context, m index.Mission, s *standing, text []byte) error {
	first, _, err := in.p.loadIntake(s.members[0].row)
	if err != nil {
		return err
	}
	token := uuid.NewSHA1(tokenNamespace, fmt.Appendf(nil, "%s plan %d", m.ID, s.plans+1)).String()
	c := newCandidate(text, job.Provenance{Zone: first.Provenance.Zone, Source: m.Source, OwnerUID: first.Provenance.OwnerUID, Token: token,
		MissionID: m.ID}, in.p.stamp(), in.rules.ParseLimits())
	c.recovered = true // another process may have been faster
	in.cands = append(in.cands, c)
	return in.flush(ctx)
}
