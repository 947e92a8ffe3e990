package index

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// onDisk is a workspace's ledger, documents and index as they are in use.
type onDisk struct {
	t    *testing.T
	log  *ledger.Log
	docs *ledger.Documents
	db   *DB
}

func newOnDisk(t *testing.T) *onDisk {
	t.Helper()
	dir := t.TempDir()
	outbox := filepath.Join(dir, "outbox")
	for _, d := range []string{outbox, filepath.Join(dir, ".sheratan")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	d := &onDisk{t: t}
	var err error
	if d.log, err = ledger.Open(outbox, nil); err != nil {
		t.Fatal(err)
	}
	if d.docs, err = ledger.OpenDocuments(outbox, nil); err != nil {
		t.Fatal(err)
	}
	if d.db, err = Open(filepath.Join(dir, ".sheratan", "index.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(d.db.Close(), d.docs.Close(), d.log.Close()); err != nil {
			t.Error(err)
		}
	})
	return d
}

// write writes jobs of which each depends on the one before, in one batch, as the pipeline does. With crash it stops
// between ledger and index.
func (d *onDisk) write(from, to int, crash bool) {
	d.t.Helper()
	tx, err := d.db.Begin(context.Background())
	if err != nil {
		d.t.Fatal(err)
	}
	defer tx.Rollback()
	pos, _, err := tx.CatchUp(d.log, d.docs, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	batch := ledger.NewBatch(pos)
	add := func(name job.EventName, id string, ref ledger.Ref, meta any) {
		d.t.Helper()
		raw, err := ledger.NewMeta(meta)
		if err != nil {
			d.t.Fatal(err)
		}
		ev := ledger.Event{Timestamp: job.FormatTime(epoch), Actor: "uid:1000", Event: name, JobID: id, TraceID: id, Meta: raw,
			ArtifactPath: ref.Path, ArtifactSHA256: ref.SHA256}
		if err := errors.Join(batch.Add(&ev), tx.Apply(&ev, d.docs)); err != nil {
			d.t.Fatal(err)
		}
	}
	for i := from; i < to; i++ {
		id := fmt.Sprint("job-", i)
		refs, err := d.docs.Append([][]byte{fmt.Appendf(nil, `{"proposal":{"depends_on":["job-%d"]}}`, i-1)})
		if err != nil {
			d.t.Fatal(err)
		}
		m := received("agent")
		m.Located, m.DependsOn = ledger.Located{Offset: refs[0].Offset, Bytes: refs[0].Bytes}, 1
		add(job.ProposalReceived, id, refs[0], m)
		add(job.JobApproved, id, ledger.Ref{}, approved(epoch, true))
		add(job.JobDispatched, id, ledger.Ref{}, leaseOf("local", 1, epoch))
		if i%3 > 0 {
			add(job.JobStarted, id, ledger.Ref{}, ledger.Started{Attempt: 1})
			add(job.JobCompleted, id, ledger.Ref{}, ledger.Ended{Attempt: 1})
		}
	}
	end, err := d.log.Write(batch)
	if err != nil {
		d.t.Fatal(err)
	}
	if crash {
		return
	}
	if err := errors.Join(tx.SetPosition(end), tx.Commit()); err != nil {
		d.t.Fatal(err)
	}
}

func (d *onDisk) digest() (digest string) {
	d.t.Helper()
	err := d.db.View(context.Background(), func(r *Reader) (err error) {
		digest, err = r.Digest()
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return digest
}

func (d *onDisk) rebuild() {
	d.t.Helper()
	tx, err := d.db.Begin(context.Background())
	if err != nil {
		d.t.Fatal(err)
	}
	defer tx.Rollback()
	calls := int64(0)
	_, torn, err := tx.Rebuild(d.log, d.docs, func(n int64) { calls = n })
	if err != nil || torn != nil || calls == 0 {
		d.t.Fatalf("%v, %v, %d", err, torn, calls)
	}
	if err := tx.Commit(); err != nil {
		d.t.Fatal(err)
	}
}

func (d *onDisk) check() []Difference {
	d.t.Helper()
	diffs, err := d.db.CheckRebuild(context.Background(), d.log, d.docs, 100, CheckProgress{})
	if err != nil {
		d.t.Fatal(err)
	}
	return diffs
}

// sql changes the index behind its back.
func (d *onDisk) sql(text string) {
	d.t.Helper()
	conn, err := d.db.take()
	if err != nil {
		d.t.Fatal(err)
	}
	defer d.db.give(conn)
	if err := conn.Exec("PRAGMA ignore_check_constraints = ON; " + text + "; PRAGMA ignore_check_constraints = OFF"); err != nil {
		d.t.Fatal(err)
	}
}

// TestCheckRebuildLooksAtEachColumn changes one value of each column of each table in which there is something.
func TestCheckRebuildLooksAtEachColumn(t *testing.T) {
	d := newOnDisk(t)
	d.write(0, 4, false)
	changed := 0
	for _, table := range tables {
		if table.name == "position" {
			continue // it says what the others are compared with
		}
		for _, column := range strings.Split(table.columns, ", ") {
			before := d.digest()
			d.sql(fmt.Sprintf("UPDATE %[1]s SET %[2]s = CASE typeof(%[2]s) WHEN 'text' THEN %[2]s || 'x' ELSE %[2]s + 100000 END "+
				"WHERE (%[3]s) IN (SELECT %[3]s FROM %[1]s LIMIT 1 OFFSET 1)", table.name, column, table.key))
			if d.digest() == before {
				continue // there are no rows, or one
			}
			changed++
			diffs := d.check()
			if len(diffs) == 0 || diffs[0].Table != table.name || !strings.Contains(diffs[0].String(), column+"=") {
				t.Errorf("%s.%s: %v", table.name, column, diffs)
			}
			d.rebuild()
		}
	}
	if changed < 80 {
		t.Errorf("%d columns were changed", changed)
	}
}

func TestRebuildGivesWhatWasThere(t *testing.T) {
	d := newOnDisk(t)
	if diffs := d.check(); len(diffs) > 0 {
		t.Errorf("empty: %v", diffs)
	}
	for i := range 5 {
		d.write(40*i, 40*i+40, false)
	}
	live := d.digest()
	if diffs := d.check(); len(diffs) > 0 {
		t.Errorf("live: %v", diffs)
	}
	for range 2 {
		d.rebuild()
		if d.digest() != live {
			t.Fatalf("the rebuilt index is another one: %v", d.check())
		}
	}
	d.write(200, 210, false) // and it goes on
	if diffs := d.check(); len(diffs) > 0 {
		t.Errorf("afterwards: %v", diffs)
	}
}

// A crash between ledger and index is made good by the next transaction.
func TestCatchUp(t *testing.T) {
	d, twin := newOnDisk(t), newOnDisk(t)
	d.write(0, 20, false)
	d.write(20, 40, true)
	if diffs := d.check(); len(diffs) > 0 {
		t.Errorf("an index that is behind is not wrong: %v", diffs)
	}
	d.write(40, 60, false)
	for i := range 3 {
		twin.write(20*i, 20*i+20, false)
	}
	if d.digest() != twin.digest() {
		t.Error("the index differs from one without the crash")
	}
}

func TestCheckRebuildFindsDifferences(t *testing.T) {
	d := newOnDisk(t)
	d.write(0, 10, false)
	for name, c := range map[string]struct{ sql, undo, want string }{
		"changed": {"UPDATE jobs SET source = 'mallory' WHERE id = 'job-3'", "UPDATE jobs SET source = 'agent' WHERE id = 'job-3'",
			`source="mallory", and must be source="agent"`},
		"added": {"INSERT INTO paused (source, reason, kill, since) VALUES ('x', '', 0, 0)", "DELETE FROM paused",
			"paused x: must not be there"},
		"removed": {"DELETE FROM deps WHERE depends_on = 'job-4'", "INSERT INTO deps SELECT seq, 'job-4', 'job-4', 1 FROM jobs WHERE id = 'job-5'",
			`is missing: job=`},
		"count": {"UPDATE counts SET completed = completed + 1", "UPDATE counts SET completed = completed - 1",
			"completed=7, and must be completed=6"},
		"event": {"UPDATE ledger_events SET actor = 'nobody' WHERE seq = 5", "UPDATE ledger_events SET actor = 'uid:1000' WHERE seq = 5",
			`ledger_events 5: actor="nobody"`},
	} {
		d.sql(c.sql)
		diffs := d.check()
		if len(diffs) != 1 || !strings.Contains(diffs[0].String(), c.want) {
			t.Errorf("%s: %v, want %s", name, diffs, c.want)
		}
		d.sql(c.undo)
		if diffs := d.check(); len(diffs) != 0 {
			t.Errorf("%s undone: %v", name, diffs)
		}
	}
	for name, c := range map[string]struct{ sql, want string }{
		"event missing":      {"DELETE FROM ledger_events WHERE seq = 5", "ledger_events 5: is missing: seq=5"},
		"last event missing": {"DELETE FROM ledger_events WHERE seq = (SELECT max(seq) FROM ledger_events)", "is missing: seq="},
		"event too many": {"INSERT INTO ledger_events SELECT 1000, job, v, event, timestamp, actor, job_id, trace_id, zone, id, artifact_path, " +
			"artifact_sha256, prev, meta FROM ledger_events WHERE seq = 5", "ledger_events 1000: must not be there: seq=1000"},
		"event of another job": {"UPDATE ledger_events SET job = 0 WHERE seq = 5", "ledger_events 5: job=0, and must be job="},
	} {
		d.sql(c.sql)
		if diffs := d.check(); len(diffs) != 1 || !strings.Contains(diffs[0].String(), c.want) {
			t.Errorf("%s: %v, want %s", name, diffs, c.want)
		}
		d.rebuild()
	}
	d.sql("DELETE FROM ledger_events; UPDATE jobs SET source = 'mallory'")
	if diffs, err := d.db.CheckRebuild(context.Background(), d.log, d.docs, 7, CheckProgress{}); err != nil || len(diffs) != 7 || diffs[0].Table != "jobs" {
		t.Errorf("of many differences: %v, %v", diffs, err)
	}
	d.rebuild()
	// Heartbeats are nobody's business.
	tx, err := d.db.Begin(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(tx.SetHeartbeat("local", epoch), tx.Commit()); err != nil {
		t.Fatal(err)
	}
	if diffs := d.check(); len(diffs) != 0 {
		t.Errorf("heartbeat: %v", diffs)
	}
}

func TestRebuildNeedsTheDocuments(t *testing.T) {
	d := newOnDisk(t)
	d.write(0, 3, false)
	before := d.digest()
	tx, err := d.db.Begin(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var event *EventError
	if _, _, err := tx.Rebuild(d.log, newHistory(), nil); !errors.As(err, &event) || event.JobID != "job-0" {
		t.Errorf("got %v, want an EventError", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if d.digest() != before {
		t.Error("a rebuild that failed left something")
	}
}

// TestCheckRebuildOfGarbage damages a table that hardly anything reads: the check says so, and names the file.
func TestCheckRebuildOfGarbage(t *testing.T) {
	d := newOnDisk(t)
	d.write(0, 5, false)
	if err := d.db.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	text := damaged(t, d.db)
	path := d.db.Path()
	if err := d.db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	if d.db, err = Open(path); err != nil {
		t.Fatal(err)
	}
	_, err = d.db.CheckRebuild(context.Background(), d.log, d.docs, 10, CheckProgress{})
	if garbage, ok := errors.AsType[*GarbageError](err); !ok || garbage.Path != path {
		t.Errorf("%v", err)
	}
}

// A job that is over without an event that ended it is found by the events alone.
func TestUnended(t *testing.T) {
	d := newOnDisk(t)
	d.write(0, 10, false)
	found := func() (list []Unended) {
		t.Helper()
		err := d.db.View(t.Context(), func(r *Reader) (err error) {
			list, err = r.Unended(10)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if list := found(); len(list) > 0 {
		t.Fatalf("in a sound index: %v", list)
	}
	conn, err := d.db.take()
	if err != nil {
		t.Fatal(err)
	}
	err = conn.Exec("UPDATE ledger_events SET event = 'JOB_READY' WHERE seq = (SELECT max(seq) FROM ledger_events WHERE event = 'JOB_COMPLETED')")
	d.db.give(conn)
	if err != nil {
		t.Fatal(err)
	}
	if list := found(); len(list) != 1 || list[0].Status != "completed" {
		t.Errorf("found %v, want one job that has completed", list)
	}
}
