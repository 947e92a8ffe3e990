package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
	"github.com/sheratan/sheratan/schemas"
)

// life is the history of a job that really lived, to be copied: a million jobs take long to live and little to copy.
type life struct {
	id, token string
	events    []ledger.Event
	docs      []document // in the order in which events name them first
}

type document struct {
	ref  ledger.Ref
	body []byte
}

// live submits a job, ticks, and reads what became of it.
func (s space) live(ctx context.Context, proposal string, args ...string) (life, error) {
	if err := s.submit(ctx, proposal, args...); err != nil {
		return life{}, err
	}
	if err := s.command("tick").run(ctx); err != nil {
		return life{}, err
	}
	log, docs, err := s.open()
	if err != nil {
		return life{}, err
	}
	defer log.Close()
	defer docs.Close()
	var l life
	err = log.Scan(0, func(e *ledger.Event, _ []byte) error {
		if e.JobID == "" {
			return nil
		}
		kept := *e
		kept.Meta = bytes.Clone(e.Meta)
		l.events = append(l.events, kept)
		ref, ok, err := ledger.RefOf(e)
		if err != nil || !ok || l.document(ref.SHA256) >= 0 {
			return err
		}
		body, err := docs.Read(ref)
		l.docs = append(l.docs, document{ref, bytes.Clone(body)})
		return err
	})
	if err != nil {
		return l, err
	}
	if len(l.events) == 0 || l.events[len(l.events)-1].Event != job.JobCompleted {
		return l, errors.New("the job to be copied did not complete")
	}
	var received ledger.Received
	err = l.events[0].DecodeMeta(&received)
	l.id, l.token = l.events[0].JobID, received.Token
	return l, err
}

// open opens ledger and documents of the workspace.
func (s space) open() (*ledger.Log, *ledger.Documents, error) {
	log, err := ledger.Open(s.Outbox(), nil)
	if err != nil {
		return nil, nil, err
	}
	docs, err := ledger.OpenDocuments(s.Outbox(), nil)
	return log, docs, err
}

// document returns the place of a document in l.docs, -1 where it is none of them.
func (l life) document(sha256 string) int {
	for i, d := range l.docs {
		if d.ref.SHA256 == sha256 {
			return i
		}
	}
	return -1
}

// until cuts the life after its first event of this name.
func (l life) until(name job.EventName) (life, error) {
	for i, e := range l.events {
		if e.Event != name {
			continue
		}
		short := life{id: l.id, token: l.token, events: l.events[:i+1]}
		for _, d := range l.docs {
			for _, e := range short.events {
				if e.ArtifactSHA256 == d.ref.SHA256 && short.document(d.ref.SHA256) < 0 {
					short.docs = append(short.docs, d)
				}
			}
		}
		return short, nil
	}
	return l, fmt.Errorf("the job to be copied has no %s", name)
}

// copies makes n copies of the life, each with ids and documents of its own, and stores these documents.
func (l life) copies(docs *ledger.Documents, n int) ([]ledger.Event, error) {
	names := make([]renaming, n)
	var bodies [][]byte
	for i := range names {
		names[i] = l.rename()
		for _, d := range l.docs {
			body := names[i].apply(d.body)
			// Later documents name earlier ones by digest.
			names[i].add(d.ref.SHA256, schemas.Digest(body))
			bodies = append(bodies, body)
		}
	}
	refs, err := docs.Append(bodies)
	if err != nil {
		return nil, err
	}
	events := make([]ledger.Event, 0, n*len(l.events))
	for i, r := range names {
		for _, e := range l.events {
			at := l.document(e.ArtifactSHA256)
			e = r.event(e)
			if at >= 0 {
				ref := refs[i*len(l.docs)+at]
				e.ArtifactPath, e.ArtifactSHA256 = ref.Path, ref.SHA256
				if e.Meta, err = relocate(e.Meta, ref); err != nil {
					return nil, err
				}
			}
			events = append(events, e)
		}
	}
	return events, nil
}

// shallow is copies without documents: all events name those of the original. That is enough for jobs that nobody runs.
func (l life) shallow(n int) []ledger.Event {
	events := make([]ledger.Event, 0, n*len(l.events))
	for range n {
		r := l.rename()
		for _, e := range l.events {
			events = append(events, r.event(e))
		}
	}
	return events
}

// renaming is what has to be replaced in one copy: ids, and digests of documents in which ids were replaced.
type renaming struct {
	id    string
	pairs [][2][]byte
}

func (l life) rename() renaming {
	r := renaming{id: inOrder()}
	r.add(l.id, r.id)
	r.add(l.token, inOrder())
	return r
}

// inOrder returns a UUID of version 7. A million random ones would be inserted all over the indexes on them, which takes
// ten times as long and makes no difference to what is measured.
func inOrder() string { return uuid.Must(uuid.NewV7()).String() }

func (r *renaming) add(from, to string) {
	r.pairs = append(r.pairs, [2][]byte{[]byte(from), []byte(to)})
}

func (r *renaming) apply(text []byte) []byte {
	for _, p := range r.pairs {
		text = bytes.ReplaceAll(text, p[0], p[1])
	}
	return text
}

// event is e as an event of the copy. Its place in the ledger, and so its own id, is for the batch to give.
func (r *renaming) event(e ledger.Event) ledger.Event {
	e.ID, e.JobID, e.TraceID = "", r.id, r.id
	e.Meta = r.apply(e.Meta)
	return e
}

// relocate puts the place of a document into the meta of an event.
func relocate(meta json.RawMessage, ref ledger.Ref) (json.RawMessage, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(meta, &m); err != nil {
		return nil, err
	}
	m["offset"] = strconv.AppendInt(nil, ref.Offset, 10)
	m["bytes"] = strconv.AppendInt(nil, ref.Bytes, 10)
	return ledger.NewMeta(m)
}
