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

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/durable"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/schemas"
)

// The files in queue/ and outbox/ are a projection of the ledger for people and programs to look at. They are written
// after the commit, unsynced, and are never read back. So that a crash in between leaves nothing undone, a process drops
// a marker with the range of its batch before it appends, and takes it away when the files are in place; a marker whose
// process is dead is work for the next command. Jobs that no event of its own is about are named by their ids.

// marker is the file of a process which says: these jobs may lack their files, or have older ones.
type marker struct {
	path string
	jobs map[string]bool
}

// markerPath names the marker of the batch that begins with an event.
func (p *Pipeline) markerPath(from int64) string {
	return filepath.Join(p.ws.Projecting(), fmt.Sprintf("%s.%d.%d.%d", p.runner.Boot, p.runner.PID, p.runner.Start, from))
}

// beginProjection drops the marker of a batch, which names its jobs by the events from the one number to before the other.
func (p *Pipeline) beginProjection(from, to int64, jobs map[string]bool) error {
	return p.mark(from, strconv.AppendInt(nil, to, 10), jobs)
}

// projectOthers drops a marker for those of the jobs that no marker of this process names. Whoever is killed may have put files
// in place that came later than those of another process, and say less. It reports whether there are such jobs: endProjection takes
// that marker away.
func (p *Pipeline) projectOthers(rows []indexRow) (bool, error) {
	others, text := map[string]bool{}, []byte("0")
	for _, row := range rows {
		if !slices.ContainsFunc(p.markers, func(m marker) bool { return m.jobs[row.ID] }) {
			others[row.ID] = true
			text = append(append(text, '\n'), row.ID...)
		}
	}
	if len(others) == 0 {
		return false, nil
	}
	return true, p.mark(-1-p.batches, text, others) // no event has such a number
}

func (p *Pipeline) mark(from int64, text []byte, jobs map[string]bool) error {
	path := p.markerPath(from)
	p.markers, p.batches = append(p.markers, marker{path, jobs}), p.batches+1
	err := os.WriteFile(path, text, 0o600)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(p.ws.Projecting(), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// projecting lists the markers.
func (p *Pipeline) projecting() ([]fs.DirEntry, error) {
	names, err := os.ReadDir(p.ws.Projecting())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return names, err
}

// endProjection withdraws the last marker: of a batch that was not appended, or of others whose files are in place.
func (p *Pipeline) endProjection(from int64) error {
	p.markers, p.batches = p.markers[:len(p.markers)-1], p.batches-1
	return os.Remove(p.markerPath(from))
}

// projected removes the markers of the batches whose files are in place: all, or where some files are put off, those before the batch
// with the oldest of them. In a loop that always has work some are put off at all times.
func (p *Pipeline) projected() {
	if p.misplaced {
		p.markers, p.misplaced = nil, false // they stay for whoever comes when this process is gone
	}
	done := len(p.markers)
	if batch, waits := p.later.oldest(); waits {
		done = max(0, done-int(p.batches-batch)-1)
	}
	for _, m := range p.markers[:done] {
		if err := os.Remove(m.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			p.warn("%v", err)
		}
	}
	p.markers, p.shown = slices.Delete(p.markers, 0, done), p.batches
}

// reproject lists the jobs whose process died before their files were in place, and the markers that say so.
func (p *Pipeline) reproject(b *batch) ([]string, []string, error) {
	names, err := p.projecting()
	if err != nil {
		return nil, nil, err
	}
	var ids, markers []string
	seen := map[string]bool{}
	for _, n := range names {
		boot, pid, start, from, ok := parseMarker(n.Name())
		if ok && durable.Alive(boot, pid, start) {
			continue
		}
		path := filepath.Join(p.ws.Projecting(), n.Name())
		markers = append(markers, path)
		text, err := os.ReadFile(path)
		first, others, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
		to, convErr := strconv.ParseInt(first, 10, 64)
		if err != nil || convErr != nil || !ok {
			to = from + batchJobs*8
		}
		jobs, err := b.tx.JobsOfEvents(from, to)
		if err != nil {
			return nil, nil, err
		}
		for _, id := range append(jobs, strings.Fields(others)...) {
			if !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
		}
	}
	return ids, markers, nil
}

func parseMarker(name string) (boot string, pid int, start, from int64, ok bool) {
	f := strings.Split(name, ".")
	if len(f) != 4 {
		return
	}
	pid, err1 := strconv.Atoi(f[1])
	start, err2 := strconv.ParseInt(f[2], 10, 64)
	from, err3 := strconv.ParseInt(f[3], 10, 64)
	return f[0], pid, start, from, err1 == nil && err2 == nil && err3 == nil
}

// place puts the files of a job where the index says. It may be called for any job at any time.
func (p *Pipeline) place(row indexRow) error {
	j, err := p.assembleShown(context.Background(), row)
	if err != nil {
		return err
	}
	return p.placeJob(row, j)
}

func (p *Pipeline) placeJob(row indexRow, j job.Job) error {
	doc, err := schemas.Marshal(j)
	if err != nil {
		return fmt.Errorf("%s: %w", row.ID, err)
	}
	doc = append(doc, '\n')
	switch row.Zone {
	case "approved":
		err = p.zones.Put(p.ws.Approved(row.ID), doc)
		if err == nil {
			err = errors.Join(p.leaveBlocked(row), p.dropResult(row))
		}
	case "blocked":
		err = errors.Join(p.placeBlocked(row, j, doc), p.dropResult(row))
	case "outbox":
		if err = p.placeResult(row, doc); err == nil {
			p.share(row, j, doc)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", row.ID, err)
	}
	return p.reply(row, j)
}

func (p *Pipeline) placeResult(row indexRow, doc []byte) error {
	// In this order the file that leaves the queue can become the one that enters the results.
	if err := p.zones.Remove(p.ws.Approved(row.ID)); err != nil {
		return err
	}
	if err := p.zones.Put(p.ws.FindResult(row.ID, row.CompletedAt, ".json"), doc); err != nil {
		return err
	}
	return p.leaveBlocked(row)
}

// leaveBlocked removes the folder of a job that is not blocked any more. Bytes that lie nowhere else go along to the
// results.
func (p *Pipeline) leaveBlocked(row indexRow) error {
	dir := p.ws.Blocked(row.ID)
	if !exists(dir) {
		return nil
	}
	raw := filepath.Join(dir, "raw")
	if row.Zone == "outbox" && exists(raw) {
		err := durable.RenameNoReplace(raw, p.ws.FindResult(row.ID, row.CompletedAt, ".raw"))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return os.RemoveAll(dir)
}

// placeBlocked makes the folder of a quarantined job: the job, the report, and the bytes as they came.
func (p *Pipeline) placeBlocked(row indexRow, j job.Job, doc []byte) error {
	dir := p.ws.Blocked(row.ID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := p.zones.Put(filepath.Join(dir, "job.json"), doc); err != nil {
		return err
	}
	in, _, err := p.loadIntake(row)
	if err != nil && !p.missed(err) {
		return err
	}
	if raw, err := rawBytes(in); err != nil {
		return err
	} else if raw != nil {
		if err := p.zones.Put(filepath.Join(dir, "raw"), raw); err != nil {
			return err
		}
	}
	rep, err := p.loadReport(row)
	if err != nil && !p.missed(err) {
		return err
	}
	text, err := json.MarshalIndent(rep, "", "  ")
	if err != nil {
		return err
	}
	if err := p.zones.Put(filepath.Join(dir, "report.json"), append(text, '\n')); err != nil {
		return err
	}
	if err := p.placeOpinions(row, dir); err != nil {
		return err
	}
	return p.zones.Remove(p.ws.Approved(row.ID))
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// moved returns those of the jobs whose files were just written that another process has moved on meanwhile: what that one
// put in place may have been undone by our files, which came later and say less. The rows are as this process's last
// transaction left them, or newer.
func (p *Pipeline) moved(rows []indexRow) (ids []string, err error) {
	if len(rows) == 0 {
		return nil, nil
	}
	err = p.view(context.Background(), func(r *index.Reader) error {
		pos, err := r.Position()
		if err != nil || pos.Size == p.at {
			return err // nobody else wrote since this process did
		}
		ids = nil
		for _, was := range rows {
			now, ok, err := r.Job(was.ID)
			if err != nil {
				return err
			}
			if ok && (now.Zone != was.Zone || now.Status != was.Status || !now.UpdatedAt.Equal(was.UpdatedAt)) {
				ids = append(ids, was.ID)
			}
		}
		return nil
	})
	return ids, err
}

// resultOf reads the result in a job document, nil where it has none.
func (p *Pipeline) resultOf(row indexRow, j job.Job) *job.Result {
	if len(j.Result) == 0 {
		return nil
	}
	if r := p.memo.get(row.ID); r.resultSHA256 == row.Result.SHA256 && r.resultSHA256 != "" {
		return &r.result
	}
	var res job.Result
	if json.Unmarshal(j.Result, &res) != nil {
		return nil
	}
	return &res
}

// reply tells the proposer what became of its proposal.
func (p *Pipeline) reply(row indexRow, j job.Job) error {
	doc, err := schemas.Marshal(p.replyOf(row, j))
	if err != nil {
		return fmt.Errorf("%s: reply: %w", row.ID, err)
	}
	return p.zones.PutReply(row.Source, row.ID, append(doc, '\n'))
}
