package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sheratan/sheratan/runtime/durable"
)

// linkName is the symbolic link in outbox/ to the active segment. It is for people; no code reads it.
const linkName = "ledger.jsonl"

// Log is the ledger on the disk. Append, Write, Tail, Check and MoveTorn are for the one who holds the workspace lock, and
// for one goroutine at a time. Scan, Follow, Verify and Size need no lock.
type Log struct {
	outbox   string
	segments segments
	faults   durable.Faults

	active      *durable.File // stays open between commits; nil where none was needed yet
	activeFirst int64
	activeInode durable.Inode
	buf         []byte
	listed      bool  // the folders were searched for segments behind the end
	failed      error // of a commit: nothing is written through this handle any more
}

// Open opens the ledger in the folder outbox, which exists; the first batch makes what is missing in it. faults is nil
// but in tests.
func Open(outbox string, faults durable.Faults) (*Log, error) {
	outbox, err := openOutbox(outbox)
	if err != nil {
		return nil, err
	}
	return &Log{
		outbox:   outbox,
		segments: segments{dir: filepath.Join(outbox, "ledger"), name: LedgerDir},
		faults:   faults,
	}, nil
}

func openOutbox(outbox string) (string, error) {
	outbox, err := filepath.Abs(outbox)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(outbox)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", fmt.Errorf("%s: not a folder", outbox)
	}
	return outbox, nil
}

// Close closes the active segment.
func (l *Log) Close() error {
	if l.active == nil {
		return nil
	}
	err := l.active.Close()
	l.active = nil
	return err
}

// Append commits lines, given without newlines, behind pos. It is Write for lines that were made elsewhere, and checks that
// they are lines of this place.
func (l *Log) Append(pos Position, lines [][]byte) (Position, error) {
	b := NewBatch(pos)
	for _, line := range lines {
		e, err := ParseLine(line)
		if err != nil {
			return pos, err
		}
		if e.Seq != b.at.Size || e.Prev != b.at.Prev() {
			return pos, fmt.Errorf("ledger line %d: does not follow line %d", e.Seq, b.at.Size-1)
		}
		b.at = b.at.Next(line)
		b.buf = append(append(b.buf, line...), '\n')
		b.lines++
	}
	return l.Write(b)
}

// Write commits a batch: when it returns nil, the lines are on the disk, and they are history. It is one write and one
// fdatasync, and for the first batch of a segment the folders are synced as well.
//
// The ledger must end where the batch begins, else the error is a *TamperError and nothing was written. After any other
// error the ledger has been cut back to where it was, as far as that was possible, and the handle refuses further work:
// what the disk has must be read again, by another process, before anything is built on it.
func (l *Log) Write(b *Batch) (Position, error) {
	if l.failed != nil {
		return b.from, fmt.Errorf("ledger: an earlier commit failed: %w", l.failed)
	}
	if b.lines == 0 {
		return b.from, nil
	}
	if _, err := SegmentPath(b.at.Size); err != nil {
		return b.from, err
	}
	if b.from.Size > 0 {
		size, err := l.openActive(b.from)
		if err != nil {
			return b.from, err
		}
		if size != b.from.Offset {
			return b.from, l.differentSize(b.from, size)
		}
	}
	write := l.extend
	if b.start.Offset == 0 {
		write = l.begin
	}
	if err := write(b); err != nil {
		var tampered *TamperError
		if !errors.As(err, &tampered) {
			l.failed = err
			err = errors.Join(fmt.Errorf("ledger: nothing was committed: %w", err), l.Close())
		}
		return b.from, err
	}
	return b.at, nil
}

// extend appends a batch to the active segment.
func (l *Log) extend(b *Batch) error {
	if _, err := l.active.Write(b.buf); err != nil {
		return errors.Join(err, l.cutBack(b.from.Offset))
	}
	if err := l.active.Datasync(); err != nil {
		return errors.Join(err, l.cutBack(b.from.Offset))
	}
	return nil
}

func (l *Log) cutBack(size int64) error {
	err := l.active.Truncate(size)
	if err == nil {
		err = l.active.Datasync()
	}
	if err != nil {
		return fmt.Errorf("cut back to %d bytes: %w", size, err)
	}
	return nil
}

// begin writes a batch to a new segment. Only when its content and all the names on the way to it are on the disk is the
// batch committed.
func (l *Log) begin(b *Batch) error {
	first := b.start.Segment
	path := l.segments.path(first)
	// Parents that a crashed process made, and did not sync, are synced below together with the new ones.
	if err := durable.MkdirAllSynced(l.segments.dir, 0o755); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := durable.CreateAppend(path, 0o644, l.faults)
	if errors.Is(err, fs.ErrExist) {
		return &TamperError{CodeLonger, l.segments.rel(first), first, "a segment exists where the ledger should end"}
	}
	if err != nil {
		return errors.Join(err, removeNew(path))
	}
	_, err = f.Write(b.buf)
	if err == nil {
		err = f.Datasync()
	}
	if err == nil {
		err = f.SyncName(3)
	}
	if err != nil {
		return errors.Join(err, f.Remove(), f.Close())
	}
	stat, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Remove(), f.Close())
	}
	if l.active != nil {
		l.active.Close()
	}
	l.active, l.activeFirst, l.activeInode = f, first, stat.Inode
	l.pointLink(first)
	return nil
}

// removeNew removes a file that may or may not have been made.
func removeNew(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// pointLink makes the link for people point to the new segment. The batch is committed, whatever becomes of the link.
func (l *Log) pointLink(first int64) {
	p, _ := SegmentPath(first)
	tmp := filepath.Join(l.outbox, durable.TempPrefix+linkName)
	os.Remove(tmp)
	if err := os.Symlink(filepath.Join("ledger", filepath.FromSlash(p)), tmp); err != nil {
		return
	}
	if err := os.Rename(tmp, filepath.Join(l.outbox, linkName)); err != nil {
		os.Remove(tmp)
	}
}
