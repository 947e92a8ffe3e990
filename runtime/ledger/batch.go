package ledger

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/google/uuid"
)

// Batch collects the lines that are committed together. A batch always lies in one segment.
type Batch struct {
	from  Position // where the ledger ended when the batch was begun
	start Position // the same place, in the segment that gets the batch
	at    Position
	buf   []byte
	lines int
}

// NewBatch begins a batch that goes behind pos.
func NewBatch(pos Position) *Batch {
	start := pos
	if pos.Offset >= SegmentBytes {
		start.Segment, start.Offset = pos.Size, 0
	}
	return &Batch{from: pos, start: start, at: start}
}

// Add fills in what the place in the ledger decides (V, Seq, Prev, and an ID where there is none) and appends the line.
// After an error the batch is as it was.
func (b *Batch) Add(e *Event) error {
	e.V, e.Seq, e.Prev = Version, b.at.Size, b.at.Prev()
	if e.ID == "" {
		e.ID = newID(b.at.Leaf, e)
	}
	n := len(b.buf)
	buf, err := e.AppendLine(b.buf)
	if err != nil {
		return err
	}
	b.at = b.at.Next(buf[n:])
	b.buf = append(buf, '\n')
	b.lines++
	return nil
}

// Position returns the place behind the last line that was added.
func (b *Batch) Position() Position {
	if b.lines == 0 {
		return b.from
	}
	return b.at
}

// Len returns the number of lines.
func (b *Batch) Len() int { return b.lines }

// Bytes returns how much would be written. A batch should stay below 4 MiB.
func (b *Batch) Bytes() int { return len(b.buf) }

// newID returns a UUID of version 8 (RFC 9562) that depends on nothing but the event and the line before it, so that the
// same decisions give the same ledger. Unlike the number it also tells events of different workspaces apart.
func newID(leaf [32]byte, e *Event) string {
	var buf [512]byte
	b := binary.BigEndian.AppendUint64(append(buf[:0], leaf[:]...), uint64(e.Seq))
	for _, s := range [...]string{e.Timestamp, e.Actor, string(e.Event), e.JobID, e.ArtifactSHA256} {
		b = append(append(b, s...), 0)
	}
	sum := sha256.Sum256(b)
	id := uuid.UUID(sum[:16])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id.String()
}
