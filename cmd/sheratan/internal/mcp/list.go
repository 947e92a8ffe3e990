package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/sheratan/sheratan/pipeline"
)

type nothing struct{}

// kindLine is a kind that may be proposed.
type kindLine struct {
	Kind     string          `json:"kind"`
	Decision string          `json:"decision"` // allow, or manual: an operator decides each time
	Summary  string          `json:"summary"`
	Effect   string          `json:"effect"`
	Params   json.RawMessage `json:"params"` // JSON Schema
}

type kindList struct {
	Kinds []kindLine `json:"kinds"`
	Guide string     `json:"guide"` // the same in short, with the programs and models that jobs may use
}

func (s *server) listKinds(ctx context.Context, _ nothing) (any, error) {
	out := kindList{Kinds: []kindLine{}}
	err := s.with(ctx, func(p *pipeline.Pipeline) error {
		r, err := p.Rules(ctx)
		if err != nil {
			return err
		}
		lists := r.Config.Gates.Kinds
		for _, k := range r.Gates.Kinds() {
			if d := lists.Decision(k.Name); d != "forbid" {
				out.Kinds = append(out.Kinds, kindLine{k.Name, d, k.Summary, string(k.Effect), k.Schema})
			}
		}
		out.Guide = r.Guide()
		return nil
	})
	return out, err
}

type missionsInput struct {
	Limit int `json:"limit,omitempty" jsonschema:"at most so many, from 1 to 100; left out, 20"`
}

type missionList struct {
	Missions []pipeline.MissionLine `json:"missions"`
}

// missionsSeen is how many of the newest missions are looked through, so that a call costs the same however many there are.
const missionsSeen = 500

func (s *server) listMissions(ctx context.Context, in missionsInput) (any, error) {
	if in.Limit == 0 {
		in.Limit = 20
	}
	if in.Limit < 1 || in.Limit > 100 {
		return nil, fmt.Errorf("limit: %d is not between 1 and 100", in.Limit)
	}
	out := missionList{Missions: []pipeline.MissionLine{}}
	err := s.with(ctx, func(p *pipeline.Pipeline) error {
		return p.Missions(ctx, missionsSeen, func(l pipeline.MissionLine) error {
			if l.Source == s.cfg.Source {
				out.Missions = append(out.Missions, l)
			}
			return nil
		})
	})
	if n := len(out.Missions); n > in.Limit {
		out.Missions = slices.Clone(out.Missions[n-in.Limit:])
	}
	return out, err
}

type missionInput struct {
	MissionID string `json:"mission_id" jsonschema:"the mission_id that list_missions answered"`
}

func (s *server) showMission(ctx context.Context, in missionInput) (out any, err error) {
	err = s.with(ctx, func(p *pipeline.Pipeline) error {
		out, err = p.OwnMission(ctx, s.cfg.Source, in.MissionID)
		return way(err, "list_missions names yours")
	})
	return out, err
}
