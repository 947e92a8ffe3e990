package pipeline

import (
	"context"
	"errors"
)

// Own returns an UnknownJobError unless the job is one of source. What is told of others' jobs is the same as of none, so that
// a proposer learns nothing of them.
func (p *Pipeline) Own(ctx context.Context, source, id string) error {
	row, ok, err := p.find(ctx, id)
	if err == nil && (!ok || row.Source != source) {
		err = &UnknownJobError{id}
	}
	return err
}

// OwnOrComing reports whether a job of source is known by that id. It is false without an error while there are proposals that have
// not become jobs yet.
func (p *Pipeline) OwnOrComing(ctx context.Context, source, id string) (bool, error) {
	err := p.Own(ctx, source, id)
	var unknown *UnknownJobError
	if !errors.As(err, &unknown) {
		return err == nil, err
	}
	if coming, err := p.coming(); err != nil || coming {
		return false, err
	}
	err = p.Own(ctx, source, id) // it may have been taken in between the two looks
	return err == nil, err
}

// OwnMission returns a mission with its tasks, and the error of one that does not exist unless it is of source.
func (p *Pipeline) OwnMission(ctx context.Context, source, id string) (MissionLine, error) {
	line, err := p.Mission(ctx, id)
	if err == nil && line.Source != source {
		return MissionLine{}, unknownMission(id)
	}
	return line, err
}

// Reply returns the answer to the proposer of a job as it is now, the same as in outbox/replies.
func (p *Pipeline) Reply(ctx context.Context, id string) (Reply, error) {
	row, err := p.row(ctx, id)
	if err != nil {
		return Reply{}, err
	}
	j, err := p.assembleShown(ctx, row)
	if err != nil {
		return Reply{}, err
	}
	return p.replyOf(row, j), nil
}
