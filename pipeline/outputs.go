package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// Outputs is what one attempt of a job wrote.
type Outputs struct {
	JobID   string
	Status  job.Status // of the job
	Attempt int        // 0 where none has begun
	Stdout  string     // absolute path; "" where nothing was written
	Stderr  string
	Result  *job.Result       // nil where the attempt has none, or not yet
	Live    bool              // more may come: of this attempt, or where none was asked for of the job
	Removed map[string]string // stdout or stderr to the reason why the file is not there any more
}

// Outputs names the files with what an attempt of a job wrote; attempt 0 is the latest one. Of a job that shares another one's
// outcome they are those of that one.
func (p *Pipeline) Outputs(ctx context.Context, id string, attempt int) (Outputs, error) {
	o := Outputs{JobID: id, Attempt: attempt}
	row, err := p.row(ctx, id)
	if err != nil {
		return o, err
	}
	if row.Result.SHA256 == "" && row.JoinedTo != "" {
		return p.Outputs(ctx, row.JoinedTo, attempt)
	}
	o.Status = row.Status
	o.Live = !row.Status.Final() && row.Status != job.StatusQuarantined
	var latest job.Result
	has := false
	if latest, has, err = p.loadResult(row); err != nil {
		return o, err
	}
	if last := max(row.Attempt, latest.Attempt); attempt > last || attempt < 0 {
		return o, noAttempt(id, attempt, last)
	}
	begun := !row.StartedAt.IsZero() || row.Status == job.StatusRunning
	if attempt == 0 && begun && row.Attempt > latest.Attempt && !(row.Status == job.StatusPending && !row.Leased()) {
		o.Attempt = row.Attempt
	} else if attempt == 0 {
		o.Attempt = latest.Attempt
	}
	if attempt > 0 {
		o.Live = o.Live && row.Leased() && row.Attempt == attempt && latest.Attempt < attempt
	}
	if has && latest.Attempt == o.Attempt {
		o.Result = &latest
	} else if o.Attempt > 0 {
		if o.Result, err = p.resultOfAttempt(ctx, id, o.Attempt); err != nil {
			return o, err
		}
	}
	if o.Result == nil {
		if err := p.unfinished(ctx, &o); err != nil || o.Live {
			return o, err
		}
		return o, p.withoutRemoved(ctx, &o)
	}
	o.Stdout, o.Stderr = p.abs(o.Result.Stdout.Path), p.abs(o.Result.Stderr.Path)
	return o, p.withoutRemoved(ctx, &o)
}

func noAttempt(id string, attempt, last int) error {
	text := fmt.Sprintf("there is no attempt %d, the latest is %d", attempt, last)
	if last == 0 {
		text = fmt.Sprintf("there is no attempt %d, it has not run", attempt)
	}
	return &InputError{File: id, Message: text, Way: "sheratan why " + id}
}

// resultOfAttempt reads the result of one attempt, nil where it has none.
func (p *Pipeline) resultOfAttempt(ctx context.Context, id string, attempt int) (*job.Result, error) {
	list, err := p.Attempts(ctx, id)
	for i := range list {
		if list[i].Attempt == attempt && list[i].Host != "" {
			return &list[i].Result, err
		}
	}
	return nil, err
}

// startOf returns when an attempt of a job started, zero where the ledger does not know.
func startOf(r *index.Reader, id string, attempt int) (started time.Time, err error) {
	err = r.Events(index.EventFilter{Job: id, Event: string(job.JobStarted)}, func(ev ledger.Event) error {
		var m ledger.Started
		if err := ev.DecodeMeta(&m); err != nil || m.Attempt != attempt {
			return err
		}
		at, err := job.ParseTime(m.StartedAt)
		started = at
		return err
	})
	return started, err
}

// unfinished names the files of an attempt without a result: it runs, or it was killed with the process that ran it.
func (p *Pipeline) unfinished(ctx context.Context, o *Outputs) error {
	var started time.Time
	err := p.view(ctx, func(r *index.Reader) (err error) {
		started, err = startOf(r, o.JobID, o.Attempt)
		return err
	})
	if err != nil || started.IsZero() {
		return err
	}
	o.Stdout, o.Stderr = p.unfinishedFile(o.JobID, o.Attempt, started, "stdout"), p.unfinishedFile(o.JobID, o.Attempt, started, "stderr")
	return nil
}

// unfinishedFile is the output file of an attempt without a result.
func (p *Pipeline) unfinishedFile(id string, attempt int, started time.Time, what string) string {
	suffix := attemptSuffix(attempt, what)
	path := p.ws.FindResult(id, started, suffix)
	// It may have begun just before the hour, or with an earlier version before midnight.
	if next := p.ws.FindResult(id, started.Add(time.Hour), suffix); !exists(path) && exists(next) {
		return next
	}
	return path
}

// withoutRemoved finds out why a file is not there.
func (p *Pipeline) withoutRemoved(ctx context.Context, o *Outputs) error {
	o.Removed = map[string]string{}
	for name, path := range map[string]string{"stdout": o.Stdout, "stderr": o.Stderr} {
		if path == "" || exists(path) {
			continue
		}
		reason, ok, err := p.whyRemoved(ctx, o.JobID, p.ws.Rel(path))
		if err != nil {
			return err
		}
		if ok {
			o.Removed[name] = reason
		}
	}
	return nil
}

// whyRemoved returns the reason of the event that says that a file was removed, and whether there is one.
func (p *Pipeline) whyRemoved(ctx context.Context, id, rel string) (reason string, ok bool, err error) {
	err = p.view(ctx, func(r *index.Reader) error {
		gone, err := removedOf(r, id)
		reason, ok = gone[p.removedPath(rel)]
		return err
	})
	return reason, ok, err
}

// KeptArtifact is an artifact of one attempt, and whether it is still there.
type KeptArtifact struct {
	JobID   string `json:"job_id"`
	Attempt int    `json:"attempt"`
	job.Artifact
	Removed string `json:"removed,omitempty"` // why it is not there any more
}

// Artifacts lists the artifacts of one attempt of a job, or with 0 of all.
func (p *Pipeline) Artifacts(ctx context.Context, id string, attempt int) ([]KeptArtifact, error) {
	row, err := p.row(ctx, id)
	if err != nil {
		return nil, err
	}
	if row.Result.SHA256 == "" && row.JoinedTo != "" {
		return p.Artifacts(ctx, row.JoinedTo, attempt)
	}
	attempts, err := p.Attempts(ctx, id)
	if err != nil {
		return nil, err
	}
	last := row.Attempt
	list := []KeptArtifact{}
	for _, a := range attempts {
		last = max(last, a.Attempt)
		if attempt > 0 && a.Attempt != attempt {
			continue
		}
		for _, f := range a.Artifacts {
			k := KeptArtifact{JobID: id, Attempt: a.Attempt, Artifact: f}
			if !exists(p.abs(f.Path)) {
				reason, ok, err := p.whyRemoved(ctx, id, f.Path)
				if err != nil {
					return nil, err
				}
				if !ok {
					reason = "nobody knows why; sheratan ledger verify"
				}
				k.Removed = reason
			}
			list = append(list, k)
		}
	}
	if attempt > last {
		return nil, noAttempt(id, attempt, last)
	}
	return list, nil
}

// OpenArtifact opens the artifact of the latest attempt that has one of that name, or of the given attempt. Its content is
// that which the ledger names.
func (p *Pipeline) OpenArtifact(ctx context.Context, id, name string, attempt int) (*os.File, error) {
	list, err := p.Artifacts(ctx, id, attempt)
	if err != nil {
		return nil, err
	}
	for i := len(list) - 1; i >= 0; i-- {
		f := list[i]
		if f.Name != name {
			continue
		}
		if f.Removed != "" {
			return nil, &InputError{File: id + ": " + name, Message: "was removed: " + f.Removed, Way: "sheratan why " + id}
		}
		return openVerified(p.abs(f.Path), f)
	}
	return nil, &InputError{File: id + ": " + name, Message: "there is no such artifact", Way: "sheratan artifacts " + id}
}

// openVerified opens a file, and makes sure first that it has the digest that the ledger names.
func openVerified(path string, f KeptArtifact) (*os.File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	_, err = io.Copy(h, file)
	if sum := hex.EncodeToString(h.Sum(nil)); err == nil && sum != f.SHA256 {
		err = &ledger.DigestError{Ref: ledger.Ref{Path: f.Path, Bytes: f.Bytes, SHA256: f.SHA256}, Got: sum}
	}
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}
