package ledger

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/sheratan/sheratan/pipeline/job"
)

// verifier is one run of Verify. It takes segments in order, like a cursor, but does not stop at what is wrong.
type verifier struct {
	ctx   context.Context
	opts  VerifyOptions
	log   *Log
	found func(Finding) error

	docs    readers
	checked map[Ref]bool    // documents that were found well lately: several events name the same one
	removed map[string]bool // digests of removed documents; nil until one is missed

	read  []int64  // segments that were, in order: eight bytes for some hundred lines
	file  *os.File // the last of them; nil where it cannot be read
	first int64    // its number
	off   int64    // how far it was read
	rest  bool     // it goes on after that, without a newline

	at    Position // behind the last line before the first gap
	gap   bool
	seq   int64  // that the next line should have
	prev  string // that the next line should have; "" where it cannot be known
	other bool   // lines so far are not those that were remembered
}

func (v *verifier) report(code string, seq int64, format string, args ...any) error {
	return v.found(Finding{code, seq, fmt.Sprintf(format, args...)})
}

func (v *verifier) close() {
	v.docs.close()
	if v.file != nil {
		v.file.Close()
	}
}

// begin goes to the place where reading begins.
func (v *verifier) begin(from Position) error {
	v.at, v.seq, v.prev = from, from.Size, from.Prev()
	if from.Size == 0 {
		return nil
	}
	f, err := v.log.segmentWith(from)
	if err != nil {
		return err
	}
	v.read = append(v.read, from.Segment)
	v.file, v.first, v.off = f, from.Segment, from.Offset
	return v.known()
}

// ledger reads all segments.
func (v *verifier) ledger() error {
	if err := v.lines(); err != nil {
		return err
	}
	for {
		next, ok, err := v.nextSegment()
		if err != nil || !ok {
			return err
		}
		if next != v.seq {
			// The last segment may have got more lines after it was read, before this one was made.
			if err := v.lines(); err != nil {
				return err
			}
		}
		if next < v.seq {
			v.first = next // files reports it
			continue
		}
		if next > v.seq {
			if err := v.missing(next); err != nil {
				return err
			}
		}
		if err := v.open(next); err != nil {
			return err
		}
		if err := v.lines(); err != nil {
			return err
		}
	}
}

func (v *verifier) nextSegment() (first int64, ok bool, err error) {
	if v.seq > v.first {
		if _, err := os.Lstat(v.log.segments.path(v.seq)); err == nil {
			return v.seq, true, nil
		}
	}
	return v.log.segments.above(v.first)
}

func (v *verifier) missing(next int64) error {
	v.gap = true
	seq := v.seq
	v.seq, v.prev = next, ""
	if v.rest {
		return v.report(CodeBadLine, seq, "%s: the last line has no end, and line %d comes in a later segment",
			v.log.segments.rel(v.first), next)
	}
	return v.report(CodeSegmentMissing, seq, "the lines from here to %d are missing", next-1)
}

func (v *verifier) open(first int64) error {
	if v.file != nil {
		v.file.Close()
	}
	v.first, v.off, v.rest = first, 0, false
	v.read = append(v.read, first)
	if !v.gap {
		v.at.Segment, v.at.Offset = first, 0
	}
	f, err := openSegment(v.log.segments.path(first))
	if err != nil {
		v.file = nil
		if errors.Is(err, fs.ErrPermission) {
			return err // nothing is known to be wrong with the ledger
		}
		return v.report(CodeUnreadable, first, "%v", err)
	}
	v.file = f
	return nil
}

// lines reads on in the open segment, to its last whole line.
func (v *verifier) lines() error {
	if v.file == nil {
		return nil
	}
	info, err := v.file.Stat()
	if err != nil {
		return err
	}
	section := func() io.Reader { return io.NewSectionReader(v.file, v.off, info.Size()-v.off) }
	r := bufio.NewReaderSize(section(), tailBuffer)
	for {
		line, err := r.ReadSlice('\n')
		if err == io.EOF {
			v.rest = len(line) > 0
			return nil
		}
		if err != nil && err != bufio.ErrBufferFull {
			return v.report(CodeUnreadable, v.seq, "%v", err)
		}
		if v.seq%1024 == 0 && v.ctx.Err() != nil {
			return v.ctx.Err()
		}
		e, bad := ParseLine(line[:len(line)-1])
		if bad != nil {
			if end, err := v.tornEnd(section()); end || err != nil {
				return err
			}
		}
		if err == bufio.ErrBufferFull {
			if err := v.overlong(r, len(line)); err != nil {
				return err
			}
			continue
		}
		if bad != nil {
			if err := v.report(CodeBadLine, v.seq, "%v", bad); err != nil {
				return err
			}
			v.advance(line[:len(line)-1])
			continue
		}
		if err := v.line(&e, line[:len(line)-1]); err != nil {
			return err
		}
	}
}

// tornEnd reports whether what begins here is a torn tail, which the next command will move aside.
func (v *verifier) tornEnd(r io.Reader) (bool, error) {
	torn, err := isTorn(r)
	if err != nil || !torn {
		return false, err
	}
	_, later, err := v.log.segments.above(v.first)
	return !later, err
}

// overlong passes over a line that is longer than any may be, of which n bytes were read.
func (v *verifier) overlong(r *bufio.Reader, n int) error {
	for {
		more, err := r.ReadSlice('\n')
		n += len(more)
		if err == nil || err == io.EOF {
			break
		}
		if err != bufio.ErrBufferFull {
			return v.report(CodeUnreadable, v.seq, "%v", err)
		}
	}
	err := v.report(CodeBadLine, v.seq, "%d bytes are more than %d", n-1, MaxLine)
	v.gap = true
	v.seq++
	v.off += int64(n)
	v.prev = ""
	return err
}

// line checks a line that could be parsed against those before it, and the document that it names.
func (v *verifier) line(e *Event, line []byte) error {
	if e.Seq != v.seq {
		if err := v.report(CodeSeqGap, v.seq, "the line says that it is line %d", e.Seq); err != nil {
			return err
		}
		v.gap = true
		v.seq = e.Seq
	}
	if v.prev != "" && e.Prev != v.prev {
		if err := v.report(CodeChainBroken, e.Seq, "prev is not the hash of the line before"); err != nil {
			return err
		}
	}
	if !knownEvent(e.Event) {
		if err := v.report(CodeUnknownEvent, e.Seq, "there is no event %s", e.Event); err != nil {
			return err
		}
	}
	v.advance(line)
	if v.opts.Event != nil {
		if err := v.opts.Event(e, v.at); err != nil {
			return err
		}
	}
	if err := v.known(); err != nil {
		return err
	}
	return v.document(e)
}

func (v *verifier) advance(line []byte) {
	v.seq++
	v.off += int64(len(line)) + 1
	if v.gap {
		leaf := LeafHash(line)
		v.prev = hex.EncodeToString(leaf[:])
		return
	}
	v.at = v.at.Next(line)
	v.prev = v.at.Prev()
}

// known compares the ledger with what is remembered of it, once it has been read that far.
func (v *verifier) known() error {
	if v.gap {
		return nil
	}
	for i := range v.opts.Known {
		known := &v.opts.Known[i]
		if v.at.Size != known.Size || known.Size == 0 {
			continue
		}
		var err error
		if v.at.Leaf != known.Leaf {
			err = v.report(CodeLastLineDiffers, known.Size-1, "the line is not the one that was written")
		} else if !v.other && v.at.Root() != known.Root() {
			v.other = true // and so it is at each later position
			err = v.report(CodeRootDiffers, known.Size-1, "lines up to this one are not those that were written")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func knownEvent(name job.EventName) bool { return knownEvents()[name] }

var knownEvents = sync.OnceValue(func() map[job.EventName]bool {
	known := map[job.EventName]bool{}
	for _, name := range job.WorkspaceEvents {
		known[name] = true
	}
	for _, t := range job.Transitions {
		known[t.Event] = true
	}
	return known
})
