package ledger

import (
	"errors"
	"slices"
	"strings"

	"github.com/sheratan/sheratan/pipeline/job"
)

// document checks the document that an event names.
func (v *verifier) document(e *Event) error {
	if !v.opts.Documents {
		return nil
	}
	ref, ok, err := RefOf(e)
	if err != nil {
		return v.report(CodeMissingDocument, e.Seq, "%v", err)
	}
	if !ok || !strings.HasPrefix(ref.Path, DocumentsDir+"/") || e.Event == job.DocumentRemoved || v.checked[ref] {
		return nil
	}
	doc, err := v.docs.read(ref)
	var missing *MissingError
	var digest *DigestError
	switch {
	case err == nil:
		if len(v.checked) >= 4096 || v.checked == nil {
			v.checked = make(map[Ref]bool, 4096)
		}
		v.checked[ref] = true
		if v.opts.Document != nil {
			return v.opts.Document(e, doc)
		}
		return nil
	case v.wasRemoved(ref.SHA256):
		return nil
	case errors.As(err, &missing):
		return v.report(CodeMissingDocument, e.Seq, "%v", err)
	case errors.As(err, &digest):
		return v.report(CodeDocumentDigest, e.Seq, "%v", err)
	default:
		return v.report(CodeUnreadable, e.Seq, "%v", err)
	}
}

// wasRemoved reports whether an event anywhere in the ledger says that a document was removed. The ledger is read for it
// only when a document is missed.
func (v *verifier) wasRemoved(digest string) bool {
	if v.removed == nil {
		v.removed = make(map[string]bool)
		// An error ends the list early; what is wrong is reported where Verify itself comes to it.
		_ = v.log.Scan(0, func(e *Event, _ []byte) error {
			if e.Event == job.DocumentRemoved {
				v.removed[e.ArtifactSHA256] = true
			}
			return nil
		})
	}
	return v.removed[digest]
}

// files reports what lies in the folders of ledger and documents and belongs to neither.
func (v *verifier) files() error {
	last := v.first
	err := v.log.segments.walk(func(first int64) error {
		if _, read := slices.BinarySearch(v.read, first); read || first > last || first < v.opts.From.Segment {
			return nil
		}
		return v.report(CodeUnknownFile, first, "%s: begins with a line that another segment has", v.log.segments.rel(first))
	}, func(path string) error {
		return v.report(CodeUnknownFile, -1, "%s/%s: not a segment", LedgerDir, path)
	})
	if err != nil {
		return err
	}
	return v.docs.segments.walk(func(int64) error { return nil }, func(path string) error {
		return v.report(CodeUnknownFile, -1, "%s/%s: not a segment", DocumentsDir, path)
	})
}
