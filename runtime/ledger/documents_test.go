package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sheratan/sheratan/runtime/durable"
)

func document(n, size int) []byte {
	return fmt.Appendf(nil, `{"n":%d,"text":"%s"}`, n, strings.Repeat("x", size))
}

func store(t testing.TB, d *Documents, docs ...[]byte) []Ref {
	t.Helper()
	refs, err := d.Append(docs)
	if err != nil {
		t.Fatal(err)
	}
	for i, ref := range refs {
		sum := sha256.Sum256(docs[i])
		if ref.SHA256 != hex.EncodeToString(sum[:]) || ref.Bytes != int64(len(docs[i])) {
			t.Errorf("document %d is referred to as %+v", i, ref)
		}
		if got, err := d.Read(ref); err != nil || !bytes.Equal(got, docs[i]) {
			t.Errorf("document %d is read as %.40q, %v", i, got, err)
		}
	}
	return refs
}

func TestDocuments(t *testing.T) {
	outbox := newOutbox(t)
	d := openDocuments(t, outbox, nil)
	var refs []Ref
	n := 0
	for range 30 {
		var docs [][]byte
		for range 7 {
			docs = append(docs, document(n, 1000))
			n++
		}
		got := store(t, d, docs...)
		for _, r := range got[1:] {
			if r.Path != got[0].Path {
				t.Errorf("a batch lies in %s and %s", got[0].Path, r.Path)
			}
		}
		refs = append(refs, got...)
	}
	segmentsSeen := map[string]int{}
	for i, ref := range refs {
		if _, ok := segmentsSeen[ref.Path]; !ok {
			segmentsSeen[ref.Path] = i
			if p, _ := SegmentPath(int64(i)); ref.Path != "outbox/documents/"+p {
				t.Errorf("the segment of document %d is %s", i, ref.Path)
			}
		}
		// Another process finds them too.
		if got, err := openDocuments(t, outbox, nil).Read(ref); err != nil || !bytes.Equal(got, document(i, 1000)) {
			t.Errorf("document %d: %v", i, err)
		}
	}
	if len(segmentsSeen) < 3 {
		t.Errorf("%d segments, the test needs more", len(segmentsSeen))
	}
	if refs, err := d.Append(nil); err != nil || refs != nil {
		t.Errorf("no documents: %v, %v", refs, err)
	}
	for _, bad := range []string{"", "a\nb", "a\x00"} {
		if _, err := d.Append([][]byte{[]byte(`{}`), []byte(bad)}); err == nil {
			t.Errorf("%q was stored", bad)
		}
	}
}

// TestDocumentsTogether has several handles, as of several processes, append at once.
func TestDocumentsTogether(t *testing.T) {
	outbox := newOutbox(t)
	var wg sync.WaitGroup
	refs := make([][]Ref, 4)
	for w := range refs {
		d := openDocuments(t, outbox, nil)
		wg.Go(func() {
			for i := range 25 {
				got, err := d.Append([][]byte{document(w, i), document(w, 3000+i)})
				if err != nil {
					t.Error(err)
					return
				}
				refs[w] = append(refs[w], got...)
			}
		})
	}
	wg.Wait()
	d := openDocuments(t, outbox, nil)
	taken := map[Ref]bool{}
	for w := range refs {
		for i, ref := range refs[w] {
			want := document(w, i/2)
			if i%2 == 1 {
				want = document(w, 3000+i/2)
			}
			if got, err := d.Read(ref); err != nil || !bytes.Equal(got, want) {
				t.Errorf("writer %d, document %d: %.40q, %v", w, i, got, err)
			}
			if taken[ref] {
				t.Errorf("two documents at %+v", ref)
			}
			taken[ref] = true
		}
	}
	// The names of segments count documents.
	s := segments{dir: filepath.Join(outbox, "documents"), name: DocumentsDir}
	next := int64(0)
	if err := s.walk(func(first int64) error {
		if first != next {
			t.Errorf("segment %d, want %d", first, next)
		}
		n, _, err := countLines(s.path(first))
		next += n
		return err
	}, func(p string) error { return errors.New(p) }); err != nil || next != 200 {
		t.Errorf("%d documents, %v", next, err)
	}
}

func TestDocumentsCutUnfinishedLine(t *testing.T) {
	for name, junk := range map[string]string{"half a line": `{"half`, "zeros": strings.Repeat("\x00", 9000)} {
		t.Run(name, func(t *testing.T) {
			outbox := newOutbox(t)
			first := store(t, openDocuments(t, outbox, nil), document(0, 10), document(1, 10))
			file := filepath.Join(outbox, "..", first[0].Path)
			appendTo(t, file, junk)
			d := openDocuments(t, outbox, nil)
			after := store(t, d, document(2, 10))
			if want := first[1].Offset + first[1].Bytes + 1; after[0].Offset != want {
				t.Errorf("goes on at %d, want %d", after[0].Offset, want)
			}
			for i, ref := range append(first, after...) {
				if got, err := d.Read(ref); err != nil || !bytes.Equal(got, document(i, 10)) {
					t.Errorf("document %d: %q, %v", i, got, err)
				}
			}
			// A handle that was open all the time takes note as well.
			appendTo(t, file, junk)
			if got := store(t, d, document(3, 10)); got[0].Offset != after[0].Offset+after[0].Bytes+1 {
				t.Errorf("an open handle goes on at %d", got[0].Offset)
			}
		})
	}
}

// TestDocumentsFail breaks every call of an Append in each way. What was stored before must stay readable, and the same
// handle may be used again.
func TestDocumentsFail(t *testing.T) {
	for _, before := range []int{0, 1, 70} { // 70 fill a segment
		for _, op := range []durable.Op{durable.OpOpen, durable.OpWrite, durable.OpSync, durable.OpSyncName, durable.OpTruncate} {
			for name, kind := range kinds {
				t.Run(fmt.Sprint(before, "/", op, "/", name), func(t *testing.T) {
					outbox := newOutbox(t)
					f := &failNth{op: op, fault: kind}
					if op == durable.OpTruncate {
						f.also = map[durable.Op]*durable.Fault{durable.OpSync: {Err: errFault}}
					}
					d := openDocuments(t, outbox, f.ask)
					var docs [][]byte
					for n := range before {
						docs = append(docs, document(n, 1000))
					}
					var refs []Ref
					if before > 0 {
						refs = store(t, d, docs...)
					}
					f.armed = true
					got, err := d.Append([][]byte{document(1000, 500), document(1001, 500)})
					if f.calls[op] == 0 {
						if err != nil {
							t.Errorf("without a fault: %v", err)
						}
						return
					}
					if !errors.Is(err, errFault) || got != nil {
						t.Fatalf("got %v, error %v", got, err)
					}
					f.armed = false
					refs = append(refs, store(t, d, document(before, 1000))...)
					refs = append(refs, store(t, openDocuments(t, outbox, nil), document(before+1, 1000))...)
					for i, ref := range refs {
						if got, err := d.Read(ref); err != nil || !bytes.Equal(got, document(i, 1000)) {
							t.Errorf("document %d: %.40q, %v", i, got, err)
						}
					}
				})
			}
		}
	}
}

func TestDocumentErrors(t *testing.T) {
	outbox := newOutbox(t)
	d := openDocuments(t, outbox, nil)
	ref := store(t, d, document(0, 100))[0]
	var missing *MissingError
	var digest *DigestError
	for name, change := range map[string]func(*Ref){
		"another folder":  func(r *Ref) { r.Path = "outbox/ledger/000/000/000000000.jsonl" },
		"outside":         func(r *Ref) { r.Path = "outbox/documents/../../x.jsonl" },
		"absolute":        func(r *Ref) { r.Path = "/etc/passwd" },
		"another segment": func(r *Ref) { r.Path = "outbox/documents/000/005/000005000.jsonl" },
		"beyond the end":  func(r *Ref) { r.Offset = 1 << 40 },
		"over the end":    func(r *Ref) { r.Bytes += 5 },
		"negative":        func(r *Ref) { r.Offset = -1 },
		"huge":            func(r *Ref) { r.Bytes = 1 << 60 },
		"no digest":       func(r *Ref) { r.SHA256 = "" },
	} {
		r := ref
		change(&r)
		if _, err := d.Read(r); !errors.As(err, &missing) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r := ref
	r.Offset, r.Bytes = 1, r.Bytes-1
	if _, err := d.Read(r); !errors.As(err, &digest) {
		t.Errorf("other bytes: %v", err)
	}
	if b, err := d.Read(ref); err != nil || !bytes.Equal(b, document(0, 100)) {
		t.Errorf("the right ones: %v", err)
	}
}

func TestDocumentsFolderTakenAway(t *testing.T) {
	outbox := newOutbox(t)
	d := openDocuments(t, outbox, nil)
	store(t, d, document(0, 10))
	if err := os.RemoveAll(filepath.Join(outbox, "documents")); err != nil {
		t.Fatal(err)
	}
	ref := store(t, d, document(1, 10))[0]
	if b, err := openDocuments(t, outbox, nil).Read(ref); err != nil || !bytes.Equal(b, document(1, 10)) {
		t.Errorf("stored where nobody finds it: %v", err)
	}
}

func TestManyOpenSegments(t *testing.T) {
	outbox := newOutbox(t)
	d := openDocuments(t, outbox, nil)
	var refs []Ref
	for n := range 20 {
		refs = append(refs, store(t, d, document(n, 70<<10))...)
	}
	for range 3 {
		for i, ref := range refs {
			if b, err := d.Read(ref); err != nil || !bytes.Equal(b, document(i, 70<<10)) {
				t.Fatalf("document %d: %v", i, err)
			}
		}
	}
}
