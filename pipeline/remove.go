package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// Output files and artifacts can be removed without breaking the ledger: DOCUMENT_REMOVED names the file and its digest, and
// only when that is on disk is the file deleted. A marker with the number of the first event of the batch says until then that
// files may still be there, so that a crash in between leaves nothing undone.

// Removal is one file that was removed.
type Removal struct {
	JobID  string `json:"job_id"`
	Name   string `json:"name"` // stdout, stderr, or that of the artifact
	Path   string `json:"path"` // where it lay, relative to the workspace
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	Reason string `json:"reason"`
}

// removedPath is the path of a file of the workspace as events name it: relative to runtime/.
func (p *Pipeline) removedPath(rel string) string {
	return strings.TrimPrefix(rel, p.ws.Rel(p.ws.Runtime())+"/")
}

// isStream reports whether a file that a result names is one of the two output files.
func isStream(f job.Artifact) bool { return f.Name == "stdout" || f.Name == "stderr" }

// remove records that files of one attempt are removed: those that choose selects of the ones that are still kept. seq is the
// event whose result names them.
func (b *batch) remove(actor string, seq int64, reason string, choose func(job.Artifact) bool) ([]Removal, error) {
	ev, ok, err := b.tx.Event(seq)
	if err != nil || !ok {
		return nil, err
	}
	files, err := b.filesOf(&ev)
	if err != nil || len(files) == 0 {
		return nil, err
	}
	gone, err := removedOf(b.tx.Reader, ev.JobID)
	if err != nil {
		return nil, err
	}
	var chosen, rest []job.Artifact
	for _, f := range files {
		switch {
		case has(gone, b.p.removedPath(f.Path)):
		case choose(f):
			chosen = append(chosen, f)
		default:
			rest = append(rest, f)
		}
	}
	var list []Removal
	for i, f := range chosen {
		r := Removal{JobID: ev.JobID, Name: f.Name, Path: f.Path, SHA256: f.SHA256, Reason: reason}
		if info, err := os.Lstat(b.p.abs(f.Path)); err == nil {
			r.Bytes = info.Size()
		}
		meta := ledger.Removed{Located: ledger.Located{Bytes: r.Bytes}, Reason: reason, Of: seq, Last: i == len(chosen)-1 && len(rest) == 0}
		b.emit(ledger.Event{Actor: actor, Event: job.DocumentRemoved, JobID: ev.JobID, TraceID: ev.TraceID,
			ArtifactPath: b.p.removedPath(f.Path), ArtifactSHA256: f.SHA256}, meta, nil)
		list = append(list, r)
	}
	return list, b.failed
}

// filesOf returns the files that the result of an event names, or that an attempt without a result has left. There are none where
// the result cannot be read, which verify reports.
func (b *batch) filesOf(ev *ledger.Event) ([]job.Artifact, error) {
	if ev.Event == job.OutcomeUnknown {
		var m ledger.Unknown
		if err := ev.DecodeMeta(&m); err != nil {
			return nil, err
		}
		if endedByUs(m.Reason) {
			return nil, nil // the result of the event before names them
		}
		started, err := startOf(b.tx.Reader, ev.JobID, m.Attempt)
		if err != nil {
			return nil, err
		}
		return b.p.leftBehind(ev.JobID, m.Attempt, started), nil
	}
	ref, ok, err := ledger.RefOf(ev)
	if err != nil || !ok {
		return nil, err
	}
	var res job.Result
	if err := b.p.readDocument(ref, &res); b.p.missed(err) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return res.Files(), nil
}

// leftBehind returns the output files of an attempt whose runner died, of those that are there.
func (p *Pipeline) leftBehind(id string, attempt int, started time.Time) (files []job.Artifact) {
	if started.IsZero() {
		return nil
	}
	for _, name := range []string{"stdout", "stderr"} {
		path := p.unfinishedFile(id, attempt, started, name)
		if sum, err := digestFile(path); err == nil {
			files = append(files, job.Artifact{Name: name, Path: p.ws.Rel(path), SHA256: sum})
		}
	}
	return files
}

// removedOf returns the files of a job that were removed, by their path below runtime/, and the reasons.
func removedOf(r *index.Reader, id string) (map[string]string, error) {
	gone := map[string]string{}
	err := r.Events(index.EventFilter{Job: id, Event: string(job.DocumentRemoved)}, func(ev ledger.Event) error {
		var m ledger.Removed
		err := ev.DecodeMeta(&m)
		gone[ev.ArtifactPath] = m.Reason
		return err
	})
	return gone, err
}

func has(m map[string]string, key string) bool {
	_, ok := m[key]
	return ok
}

// removing records removals in one batch, and deletes the files when the events are on disk.
func (p *Pipeline) removing(ctx context.Context, fn func(b *batch) ([]Removal, error)) (list []Removal, err error) {
	marker := ""
	err = p.transact(ctx, func(b *batch) (err error) {
		if list, err = fn(b); err != nil || len(list) == 0 {
			return err
		}
		if err := os.MkdirAll(p.ws.Removing(), 0o700); err != nil {
			return err
		}
		marker = filepath.Join(p.ws.Removing(), strconv.FormatInt(b.from, 10))
		return os.WriteFile(marker, nil, 0o600)
	})
	if err != nil || len(list) == 0 {
		return nil, err // a marker that is left finds no events
	}
	for _, r := range list {
		if err := p.deleteKept(r.Path); err != nil {
			return list, err
		}
	}
	return list, remove(marker)
}

// deleteKept deletes a file of the results, and the folders of artifacts that it leaves empty.
func (p *Pipeline) deleteKept(rel string) error {
	if !filepath.IsLocal(rel) || !strings.HasPrefix(rel, p.ws.Rel(p.ws.Results())+"/") {
		return nil // no result names such a path
	}
	path := p.abs(rel)
	if err := remove(path); err != nil {
		return err
	}
	// The folder of a copy is the agent's, who must not be able to stop whoever removes files, and with them each tick.
	if err := p.unshare(rel); err != nil {
		p.warn("%s is removed, and a copy of it is not: %v", rel, err)
	}
	for dir := filepath.Dir(path); strings.Contains(dir[len(p.ws.Results()):], ".artifacts"); dir = filepath.Dir(dir) {
		if os.Remove(dir) != nil {
			break // others are left in it
		}
	}
	return nil
}

// finishRemovals deletes what a process that died had recorded as removed.
func (p *Pipeline) finishRemovals(ctx context.Context) error {
	names, err := os.ReadDir(p.ws.Removing())
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(names) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	// Inside the lock, so that the events of a marker that is there are there as well.
	return p.transact(ctx, func(b *batch) error {
		for _, n := range names {
			marker := filepath.Join(p.ws.Removing(), n.Name())
			from, err := strconv.ParseInt(n.Name(), 10, 64)
			if err == nil {
				err = b.tx.Events(index.EventFilter{From: from, Event: string(job.DocumentRemoved)}, func(ev ledger.Event) error {
					return p.deleteKept(p.ws.Rel(p.ws.Runtime()) + "/" + ev.ArtifactPath)
				})
			}
			if err != nil {
				return err
			}
			if err := remove(marker); err != nil {
				return err
			}
		}
		return nil
	})
}

// RemoveOptions select files of a job.
type RemoveOptions struct {
	Artifacts bool   // the artifacts, otherwise the output files
	Attempt   int    // only those of one attempt; 0 is all
	Name      string // only this one; "" is all
	Reason    string
}

// RemoveFiles removes output files or artifacts of a job, for the reason that an operator gave, and returns them.
func (p *Pipeline) RemoveFiles(ctx context.Context, id string, o RemoveOptions) ([]Removal, error) {
	if err := p.finishRemovals(ctx); err != nil {
		return nil, err
	}
	row, err := p.row(ctx, id)
	if err != nil {
		return nil, err
	}
	if row.Result.SHA256 == "" && row.JoinedTo != "" {
		command := "logs"
		if o.Artifacts {
			command = "artifacts"
		}
		return nil, &InputError{File: id, Message: fmt.Sprintf("it shares the result of %s, and the files are those of that job", row.JoinedTo),
			Way: "sheratan " + command + " --remove " + row.JoinedTo + " --reason TEXT"}
	}
	attempts, err := p.Attempts(ctx, id)
	if err != nil {
		return nil, err
	}
	named := func(f job.Artifact) bool { return isStream(f) != o.Artifacts && (o.Name == "" || o.Name == f.Name) }
	if o.Name != "" && !slices.ContainsFunc(attempts, func(a Attempt) bool { return slices.ContainsFunc(a.Files(), named) }) {
		return nil, &InputError{File: id + ": " + o.Name, Message: "there is no such artifact", Way: "sheratan artifacts " + id}
	}
	reason, _ := redactText(o.Reason)
	return p.removing(ctx, func(b *batch) (list []Removal, err error) {
		for _, a := range attempts {
			if o.Attempt > 0 && a.Attempt != o.Attempt {
				continue
			}
			more, err := b.remove(p.opts.Actor, a.Seq, shorten(reason), named)
			if err != nil {
				return nil, err
			}
			list = append(list, more...)
		}
		return list, nil
	})
}
