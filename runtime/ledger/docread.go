package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
)

// maxDocument bounds what a reference may ask for, so that a damaged one cannot ask for all memory.
const maxDocument = 64 << 20

// MissingError says that a document is not where an event says it is.
type MissingError struct {
	Ref     Ref
	Message string
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("document %.16s at %s:%d: %s", e.Ref.SHA256, e.Ref.Path, e.Ref.Offset, e.Message)
}

// DigestError says that the bytes of a document are not those that an event names.
type DigestError struct {
	Ref Ref
	Got string // the digest of what is there
}

func (e *DigestError) Error() string {
	return fmt.Sprintf("document %.16s at %s:%d: the bytes there have the digest %.16s", e.Ref.SHA256, e.Ref.Path,
		e.Ref.Offset, e.Got)
}

// RefOf returns where the document of an event lies; ok is false for an event without one.
func RefOf(e *Event) (ref Ref, ok bool, err error) {
	if e.ArtifactPath == "" {
		return Ref{}, false, nil
	}
	at, err := locate(e.Meta)
	if err != nil {
		return Ref{}, false, fmt.Errorf("ledger line %d, meta: %w", e.Seq, err)
	}
	return Ref{e.ArtifactPath, at.Offset, at.Bytes, e.ArtifactSHA256}, at.Bytes > 0, nil
}

// Read returns the document at ref. Where there is none the error is a *MissingError, where it has another digest a
// *DigestError; either way the caller must do without it.
func (d *Documents) Read(ref Ref) ([]byte, error) {
	return d.readers.read(ref)
}

// readers keeps the segments open that were read last.
type readers struct {
	segments segments

	mu   sync.Mutex
	open [8]reader // the last one used first
}

type reader struct {
	first int64
	file  *os.File
}

func (r *readers) read(ref Ref) ([]byte, error) {
	path, ok := strings.CutPrefix(ref.Path, r.segments.name+"/")
	first, named := parseSegmentPath(path)
	if !ok || !named || ref.Offset < 0 || ref.Bytes <= 0 || ref.Bytes > maxDocument || !isDigest(ref.SHA256) {
		return nil, &MissingError{ref, "no document can lie there"}
	}
	buf := make([]byte, ref.Bytes)
	cached, err := r.readAt(first, buf, ref, false)
	if err != nil && cached {
		// The segment may have been restored or replaced while it was open.
		_, err = r.readAt(first, buf, ref, true)
	}
	if err != nil {
		return nil, err
	}
	return buf, nil
}

// readAt fills buf from the segment and checks it. It reports whether the segment was open already; again has it opened
// anew.
func (r *readers) readAt(first int64, buf []byte, ref Ref, again bool) (cached bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	file, cached, err := r.segment(first, again)
	if errors.Is(err, fs.ErrNotExist) {
		return cached, &MissingError{ref, "the segment is not there"}
	}
	if err != nil {
		return cached, err
	}
	if _, err := file.ReadAt(buf, ref.Offset); errors.Is(err, io.EOF) {
		return cached, &MissingError{ref, "the segment ends before it"}
	} else if err != nil {
		return cached, err
	}
	sum := sha256.Sum256(buf)
	if got := hex.EncodeToString(sum[:]); got != ref.SHA256 {
		return cached, &DigestError{ref, got}
	}
	return cached, nil
}

func (r *readers) segment(first int64, again bool) (file *os.File, cached bool, err error) {
	i := 0
	for i < len(r.open) && (r.open[i].file == nil || r.open[i].first != first) {
		i++
	}
	cached = i < len(r.open) && !again
	if !cached {
		i = min(i, len(r.open)-1)
		if r.open[i].file != nil {
			r.open[i].file.Close()
			r.open[i].file = nil
		}
		f, err := openSegment(r.segments.path(first))
		if err != nil {
			return nil, false, err
		}
		r.open[i] = reader{first, f}
	}
	used := r.open[i]
	copy(r.open[1:i+1], r.open[:i])
	r.open[0] = used
	return used.file, cached, nil
}

func (r *readers) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for i := range r.open {
		if r.open[i].file != nil {
			errs = append(errs, r.open[i].file.Close())
			r.open[i].file = nil
		}
	}
	return errors.Join(errs...)
}
