package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// batch is one pass through the write path: a set of events that are decided, appended and applied together.
type batch struct {
	p      *Pipeline
	tx     *index.Tx
	now    time.Time
	out    *ledger.Batch
	from   int64             // sequence number of the first line
	jobs   map[string]bool   // that events are about, which have files
	fresh  map[string][]byte // documents of this batch by digest
	after  []func()          // what this process remembers once the batch is committed
	lines  map[string]bool   // by bucket, as far as asked: jobs of it are throttled
	held   *index.Held       // as it was when a new job was first shown; nothing begins beside new jobs
	failed error

	skipped int // jobs that were cancelled because a dependency failed
}

// transact is the write path of the design, steps 2 to 5. It takes the lock, catches up with the ledger, lets fn read the
// index and emit events, appends them in one write, syncs, and commits the index. Where fn or the append fails nothing
// has happened. When it returns nil every event is durable; what the index could not take is applied by whoever comes
// next.
func (p *Pipeline) transact(ctx context.Context, fn func(*batch) error) error {
	p.acts = true
	return p.pass(ctx, fn)
}

// pass is transact for those who only catch up with the ledger, to read: they leave git to others.
func (p *Pipeline) pass(ctx context.Context, fn func(*batch) error) (err error) {
	lock, err := p.ws.Lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	// What has begun is finished: it takes milliseconds, and an interrupted one would be reported as a fault of the index.
	ctx = context.WithoutCancel(ctx)
	wrote := p.wrote
	err = p.passOnce(ctx, fn)
	// Somebody may delete the index at any time, and SQLite then fails in the middle of what it does.
	for tries := 0; err != nil && tries < 3 && p.wrote == wrote && p.indexGone(); tries++ {
		err = p.passOnce(ctx, fn)
	}
	if !p.discardGarbage(err) {
		return err
	}
	if p.wrote > wrote {
		return nil // the events are durable, and whoever comes next makes an index of them
	}
	// Nothing is in the ledger, so this is the same as never having had that index: fn decides again by a whole one.
	err = p.passOnce(ctx, fn)
	p.discardGarbage(err)
	return err
}

// indexGone reports whether the file of the index is no longer the one that is open, or not there.
func (p *Pipeline) indexGone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.db == nil {
		return !exists(p.ws.IndexDB())
	}
	stale, err := p.db.Stale()
	return stale || err != nil
}

// passOnce is pass inside the lock. fn may be called again with another batch where an index turns out to be garbage.
func (p *Pipeline) passOnce(ctx context.Context, fn func(*batch) error) error {
	tx, pos, err := p.beginLocked(ctx)
	if err != nil {
		return err
	}
	now, err := p.eventTime(tx, pos)
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	b := &batch{p: p, tx: tx, now: now, out: ledger.NewBatch(pos), from: pos.Size, jobs: map[string]bool{}, fresh: map[string][]byte{}}
	if err := fn(b); err != nil || b.failed != nil {
		return errors.Join(err, b.failed, tx.Rollback())
	}
	if b.out.Len() == 0 {
		return tx.Commit() // nothing but what catchUp applied, which is to stay: a reader relies on it
	}
	if err := tx.Flush(); err != nil { // what the index does not take must not get into the ledger
		return errors.Join(err, tx.Rollback())
	}
	if len(b.jobs) > 0 {
		if err := p.beginProjection(b.from, b.out.Position().Size, b.jobs); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	after, err := p.log.Write(b.out)
	if err != nil {
		err = errors.Join(err, tx.Rollback())
		if len(b.jobs) > 0 {
			err = errors.Join(err, p.endProjection(b.from))
		}
		return err
	}
	p.wrote += b.out.Len()
	for _, f := range b.after {
		f()
	}
	if err := tx.SetPosition(after); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	p.at = after.Size
	return nil
}

// beginLocked opens a write transaction on an index that knows the whole ledger. The caller holds the lock.
func (p *Pipeline) beginLocked(ctx context.Context) (*index.Tx, ledger.Position, error) {
	tx, err := p.begin(ctx)
	if err != nil {
		return nil, ledger.Position{}, err
	}
	pos, err := p.catchUp(ctx, tx)
	if err != nil {
		return nil, ledger.Position{}, errors.Join(err, tx.Rollback())
	}
	if err := p.guardDocuments(tx, pos); err != nil {
		return nil, ledger.Position{}, errors.Join(err, tx.Rollback())
	}
	return tx, pos, nil
}

// indexTries is how often the index is opened again where it is deleted while it is being opened.
const indexTries = 20

// begin opens the index, if need be, and a write transaction on it.
func (p *Pipeline) begin(ctx context.Context) (tx *index.Tx, err error) {
	for range indexTries {
		var db *index.DB
		if db, err = p.openIndex(); err == nil {
			tx, err = db.Begin(ctx)
		}
		if !errors.Is(err, index.ErrMoved) {
			break
		}
	}
	return tx, err
}

// openIndex returns the open index, or opens it, and moves one aside that is garbage or of another version: the ledger
// fills a new one. The caller holds the lock.
func (p *Pipeline) openIndex() (*index.DB, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.db != nil {
		stale, err := p.db.Stale()
		if err == nil && !stale {
			return p.db, nil
		}
		p.db.Close() // it is not the index any more; nothing of it is needed
		p.db = nil
	}
	path := p.ws.IndexDB()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && exists(filepath.Join(p.ws.LedgerDir(), "000")) {
		p.warn("%s: the index was missing and is made again from the ledger", path)
	}
	db, err := index.Open(path)
	var schema *index.SchemaError
	var garbage *index.GarbageError
	if errors.As(err, &schema) || errors.As(err, &garbage) {
		aside, moveErr := index.MoveAside(path, p.now().Format("20060102T150405.000000000"))
		if moveErr != nil {
			return nil, errors.Join(err, moveErr)
		}
		p.warn("%v; it was moved to %s and is made again from the ledger", err, aside)
		db, err = index.Open(path)
	}
	if err != nil {
		return nil, err
	}
	p.db = db
	return db, nil
}

// catchUp applies the events that the ledger has and the index has not: a crash came between append and commit, or the
// index is new. An unfinished last line is moved aside first. Anything else that is wrong is tampering.
func (p *Pipeline) catchUp(ctx context.Context, tx *index.Tx) (ledger.Position, error) {
	pos, err := tx.Position()
	if err != nil {
		return pos, err
	}
	n := 0
	end, torn, err := p.log.Tail(pos, func(ev *ledger.Event, _ []byte, _ ledger.Position) error {
		n++
		return tx.Apply(ev, p.docs)
	})
	if err != nil {
		return pos, err
	}
	if torn != nil {
		if err := p.guardTorn(torn); err != nil {
			return pos, err
		}
		if end, err = p.moveTorn(tx, end, torn); err != nil {
			return pos, err
		}
	}
	if pos.Size == 0 {
		if err := p.guardSize(end); err != nil {
			return pos, err
		}
	}
	if n == 0 && torn == nil {
		return pos, nil
	}
	if err := tx.SetPosition(end); err != nil {
		return pos, err
	}
	if n > 100000 {
		p.note("the index was made again from %d events", n)
	}
	return end, ctx.Err()
}

// moveTorn puts an unfinished last line aside and records that in the ledger.
func (p *Pipeline) moveTorn(tx *index.Tx, pos ledger.Position, torn *ledger.TornTail) (ledger.Position, error) {
	moved, err := p.log.MoveTorn(torn, p.ws.Torn())
	if err != nil {
		return pos, err
	}
	p.warn("%s: an unfinished line of %d bytes was moved to %s", torn.Segment, moved.Bytes, p.ws.Torn())
	now, err := p.eventTime(tx, pos)
	if err != nil {
		return pos, err
	}
	b := &batch{p: p, tx: tx, now: now, out: ledger.NewBatch(pos), from: pos.Size}
	b.workspaceEvent("recover", job.TornTailMoved, moved, nil)
	if b.failed != nil {
		return pos, b.failed
	}
	return p.log.Write(b.out)
}

// eventTime is the time of a batch: the clock, but never before the last event, so that a clock set back neither
// reorders history nor delays what waits: from here on this process counts from that event.
func (p *Pipeline) eventTime(tx *index.Tx, pos ledger.Position) (time.Time, error) {
	now := p.now()
	if pos.Size == 0 {
		return now, nil
	}
	last, ok, err := tx.Event(pos.Size - 1)
	if err != nil || !ok {
		return now, err
	}
	at, err := job.ParseTime(last.Timestamp)
	if err == nil && now.Before(at) {
		p.floor.Store(&floor{at: at, seen: p.opts.Now()})
		now = at
	}
	return now, err
}

// emit appends one event and applies it to the index, so that what is read next already reflects it. The first failure
// sticks, and fails the batch.
func (b *batch) emit(ev ledger.Event, meta any, doc *ledger.Ref) {
	if b.failed != nil {
		return
	}
	id, err := uuid.NewRandomFromReader(b.p.opts.Rand)
	if err != nil {
		b.failed = fmt.Errorf("random source: %w", err)
		return
	}
	ev.ID = id.String()
	ev.Timestamp = job.FormatTime(b.now)
	if doc != nil {
		ev.ArtifactPath, ev.ArtifactSHA256 = doc.Path, doc.SHA256
	}
	if ev.Meta, err = ledger.NewMeta(meta); err != nil {
		b.failed = fmt.Errorf("%s of %s: %w", ev.Event, ev.JobID, err)
		return
	}
	if err = b.out.Add(&ev); err == nil {
		err = b.tx.Apply(&ev, b)
	}
	if err != nil {
		b.failed = fmt.Errorf("%s of %s: %w", ev.Event, ev.JobID, err)
	}
}

// jobEvent emits an event about a job.
func (b *batch) jobEvent(actor string, name job.EventName, id, trace, zone string, meta any, doc *ledger.Ref) {
	b.jobs[id] = true
	b.emit(ledger.Event{Actor: actor, Event: name, JobID: id, TraceID: trace, Zone: zone}, meta, doc)
}

// workspaceEvent emits an event that concerns no job.
func (b *batch) workspaceEvent(actor string, name job.EventName, meta any, doc *ledger.Ref) {
	b.emit(ledger.Event{Actor: actor, Event: name}, meta, doc)
}

// store appends documents inside the lock, for those that only the state under the lock could decide. Most documents are
// stored before it is taken.
func (b *batch) store(docs ...[]byte) ([]ledger.Ref, error) {
	return b.p.docs.Append(docs)
}

// remember keeps a document that Apply is going to read.
func (b *batch) remember(sha256 string, doc []byte) { b.fresh[sha256] = doc }

// Read returns a document for Apply.
func (b *batch) Read(ref ledger.Ref) ([]byte, error) {
	if d, ok := b.fresh[ref.SHA256]; ok {
		return d, nil
	}
	return b.p.docs.Read(ref)
}
