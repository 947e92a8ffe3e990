package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sheratan/sheratan/runtime/durable"
)

// findEnd brings active, lines and size up to what is on the disk. The caller holds the lock. Afterwards active is nil
// where there are no documents yet.
func (d *Documents) findEnd() error {
	if d.active != nil {
		stat, err := durable.Lstat(d.active.Path())
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		open, openErr := d.active.Stat()
		if openErr != nil {
			return openErr
		}
		switch {
		case err != nil || stat.Inode != open.Inode:
			// The folder was taken away or restored under a running process: look again.
			if err := d.forget(); err != nil {
				return err
			}
		case stat.Size != d.size:
			if err := d.open(d.first); err != nil {
				return err
			}
		}
	}
	if d.active == nil {
		first, ok, err := d.segments.floor(maxSeq)
		if err != nil || !ok {
			return err
		}
		return d.open(first)
	}
	// Others may have closed the segment and gone on; a segment is named by how many documents come before.
	for d.size >= SegmentBytes {
		next := d.first + d.lines
		if _, err := os.Lstat(d.segments.path(next)); errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		if err := d.open(next); err != nil {
			return err
		}
	}
	return nil
}

// open makes a segment the active one. What a crashed writer left unfinished at its end is cut off: no event can name it,
// because events are written after their documents are synced.
func (d *Documents) open(first int64) error {
	path := d.segments.path(first)
	if err := d.forget(); err != nil {
		return err
	}
	lines, end, err := countLines(path)
	if err != nil {
		return err
	}
	f, err := durable.OpenAppend(path, d.faults)
	if err != nil {
		return err
	}
	stat, err := f.Stat()
	if err == nil && stat.Size > end {
		err = f.Truncate(end)
	}
	if err == nil {
		// The writer that made the segment may have died before it could.
		err = f.SyncName(3)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	d.active, d.first, d.lines, d.size = f, first, lines, end
	return nil
}

// begin makes the next segment the active one.
func (d *Documents) begin() error {
	first := d.first + d.lines
	if d.active == nil {
		first = 0
	}
	if _, err := SegmentPath(first); err != nil {
		return fmt.Errorf("documents: %w", err)
	}
	path := d.segments.path(first)
	if d.active != nil && (d.syncedFirst != d.first || d.syncedSize != d.size) {
		// The new segment is named by how many documents come before. Those of a writer that was killed are not on the disk
		// yet, and without them the number would be wrong for ever.
		if err := d.active.Datasync(); err != nil {
			return err
		}
	}
	if err := durable.MkdirAllSynced(d.segments.dir, 0o755); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := durable.CreateAppend(path, 0o644, d.faults)
	if err != nil {
		return err
	}
	if err := d.forget(); err != nil {
		return errors.Join(err, f.Close())
	}
	d.active, d.first, d.lines, d.size = f, first, 0, 0
	return nil
}

func (d *Documents) forget() error {
	if d.active == nil {
		return nil
	}
	err := d.active.Close()
	d.active = nil
	return err
}
