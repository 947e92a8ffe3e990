package ledger

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/pipeline/job"
)

// withDocuments writes n documents and an event about each, twice.
func withDocuments(t *testing.T, outbox string, n int) ([]Ref, Position) {
	t.Helper()
	d := openDocuments(t, outbox, nil)
	var docs [][]byte
	for i := range n {
		docs = append(docs, document(i, 50))
	}
	refs := store(t, d, docs...)
	b := NewBatch(Position{})
	for _, name := range []job.EventName{job.ProposalReceived, job.JobApproved} {
		for i, ref := range refs {
			e := sample(int64(i))
			e.Event = name
			names(t, &e, ref)
			add(t, b, e)
		}
	}
	pos, err := open(t, outbox, nil).Write(b)
	if err != nil {
		t.Fatal(err)
	}
	return refs, pos
}

// names has an event name a document.
func names(t *testing.T, e *Event, ref Ref) {
	t.Helper()
	meta, err := NewMeta(Located{ref.Offset, ref.Bytes})
	if err != nil {
		t.Fatal(err)
	}
	e.Meta, e.ArtifactPath, e.ArtifactSHA256 = meta, ref.Path, ref.SHA256
	if got, ok, err := RefOf(e); err != nil || !ok || got != ref {
		t.Fatalf("the event refers to %+v, %v, %v; want %+v", got, ok, err, ref)
	}
}

func add(t *testing.T, b *Batch, e Event) {
	t.Helper()
	if err := b.Add(&e); err != nil {
		t.Fatal(err)
	}
}

func TestVerifyDocuments(t *testing.T) {
	for name, test := range map[string]struct {
		change func(t *testing.T, file string, refs []Ref)
		want   []Finding // Code and Seq
	}{
		"nothing": {func(*testing.T, string, []Ref) {}, nil},
		"a byte": {func(t *testing.T, file string, refs []Ref) {
			edit(t, file, func(s string) string {
				at := refs[1].Offset + 20
				return s[:at] + "y" + s[at+1:]
			})
		}, []Finding{{Code: CodeDocumentDigest, Seq: 1}, {Code: CodeDocumentDigest, Seq: 4}}},
		"cut": {func(t *testing.T, file string, refs []Ref) {
			edit(t, file, func(s string) string { return s[:refs[2].Offset+3] })
		}, []Finding{{Code: CodeMissingDocument, Seq: 2}, {Code: CodeMissingDocument, Seq: 5}}},
		"the segment": {func(t *testing.T, file string, _ []Ref) {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}, []Finding{{Code: CodeMissingDocument, Seq: 0}, {Code: CodeMissingDocument, Seq: 1}, {Code: CodeMissingDocument, Seq: 2},
			{Code: CodeMissingDocument, Seq: 3}, {Code: CodeMissingDocument, Seq: 4}, {Code: CodeMissingDocument, Seq: 5}}},
		"a file besides": {func(t *testing.T, file string, _ []Ref) {
			if err := os.WriteFile(filepath.Join(filepath.Dir(file), "x"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}, []Finding{{Code: CodeUnknownFile, Seq: -1}}},
	} {
		t.Run(name, func(t *testing.T) {
			outbox := newOutbox(t)
			refs, _ := withDocuments(t, outbox, 3)
			test.change(t, filepath.Join(outbox, "..", refs[0].Path), refs)
			_, findings := verify(t, outbox, VerifyOptions{Documents: true})
			for i := range findings {
				if findings[i].Message == "" {
					t.Errorf("finding %d says nothing", i)
				}
				findings[i].Message = ""
			}
			if !slices.Equal(findings, test.want) {
				t.Errorf("found %v, want %v", findings, test.want)
			}
			if _, findings := verify(t, outbox, VerifyOptions{}); name != "a file besides" && len(findings) != 0 {
				t.Errorf("documents were looked at without being asked: %v", findings)
			}
		})
	}
}

func TestVerifyToleratesRemovedDocuments(t *testing.T) {
	outbox := newOutbox(t)
	refs, pos := withDocuments(t, outbox, 3)
	edit(t, filepath.Join(outbox, "..", refs[1].Path), func(s string) string {
		return s[:refs[1].Offset] + strings.Repeat(" ", int(refs[1].Bytes)) + s[refs[1].Offset+refs[1].Bytes:]
	})
	if _, findings := verify(t, outbox, VerifyOptions{Documents: true}); len(findings) != 2 {
		t.Fatalf("without the event that allows it: %v", findings)
	}
	b := NewBatch(pos)
	e := sample(1)
	e.Event = job.DocumentRemoved
	names(t, &e, refs[1])
	add(t, b, e)
	if _, err := open(t, outbox, nil).Write(b); err != nil {
		t.Fatal(err)
	}
	verified(t, outbox, 7)
}

func TestVerifyHooks(t *testing.T) {
	outbox := newOutbox(t)
	refs, pos := withDocuments(t, outbox, 3)
	var seqs, docs []int64
	end, findings := verify(t, outbox, VerifyOptions{
		Documents: true,
		Event: func(e *Event, at Position) error {
			if at.Size != e.Seq+1 {
				t.Errorf("line %d comes with position %d", e.Seq, at.Size)
			}
			seqs = append(seqs, e.Seq)
			return nil
		},
		Document: func(e *Event, doc []byte) error {
			if string(doc) != string(document(int(e.Seq), 50)) {
				t.Errorf("line %d comes with document %q", e.Seq, doc)
			}
			docs = append(docs, e.Seq)
			return nil
		},
	})
	if len(findings) != 0 || !end.Equal(pos) || !slices.Equal(seqs, []int64{0, 1, 2, 3, 4, 5}) ||
		!slices.Equal(docs, []int64{0, 1, 2}) || len(refs) != 3 {
		t.Errorf("events %v, documents %v, findings %v", seqs, docs, findings)
	}
	boom := errors.New("boom")
	l := open(t, outbox, nil)
	for _, opts := range []VerifyOptions{
		{Event: func(*Event, Position) error { return boom }},
		{Documents: true, Document: func(*Event, []byte) error { return boom }},
	} {
		if _, err := l.Verify(t.Context(), opts, nil); err != boom {
			t.Errorf("error %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Verify(ctx, VerifyOptions{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestVerifyRechained edits a line and chains everything behind it again, as somebody would who knows the format. The chain
// is whole then; only what was remembered elsewhere shows it.
func TestVerifyRechained(t *testing.T) {
	outbox := newOutbox(t)
	pos := write(t, open(t, outbox, nil), Position{}, 3, 4)[1]
	forged := newOutbox(t)
	b := NewBatch(Position{})
	for n := range int64(7) {
		e := sample(n)
		if n == 2 {
			e.Actor = "somebody else"
		}
		add(t, b, e)
	}
	if _, err := open(t, forged, nil).Write(b); err != nil {
		t.Fatal(err)
	}
	verified(t, forged, 7) // nothing to see
	if _, findings := verify(t, forged, VerifyOptions{Known: []Position{pos}}); len(findings) != 1 || findings[0].Code != CodeLastLineDiffers {
		t.Errorf("found %v", findings)
	}
	if _, findings := verify(t, outbox, VerifyOptions{Known: []Position{pos}}); len(findings) != 0 {
		t.Errorf("the true one: %v", findings)
	}
	if _, findings := verify(t, outbox, VerifyOptions{Known: []Position{batch(t, pos, 1).Position()}}); len(findings) != 1 ||
		findings[0].Code != CodeShorter || findings[0].Seq != 7 {
		t.Errorf("rolled back: %v", findings)
	}
}

func TestVerifyUnknownEvent(t *testing.T) {
	outbox := newOutbox(t)
	b := NewBatch(Position{})
	e := sample(0)
	e.Event = "JOB_PRAISED"
	add(t, b, e)
	if _, err := open(t, outbox, nil).Write(b); err != nil {
		t.Fatal(err)
	}
	if _, findings := verify(t, outbox, VerifyOptions{}); len(findings) != 1 || findings[0].Code != CodeUnknownEvent {
		t.Errorf("found %v", findings)
	}
	for _, e := range allEvents() {
		if !knownEvent(e) {
			t.Errorf("%s is not known", e)
		}
	}
}

func TestVerifyEmpty(t *testing.T) {
	verified(t, newOutbox(t), 0)
}

func TestBatchIDs(t *testing.T) {
	one, again := batch(t, Position{}, 3), batch(t, Position{}, 3)
	if string(one.buf) != string(again.buf) {
		t.Error("the same events give other lines")
	}
	seen := map[string]bool{}
	for _, s := range strings.Split(strings.TrimSuffix(string(one.buf), "\n"), "\n") {
		e, err := ParseLine([]byte(s))
		if err != nil {
			t.Fatal(err)
		}
		if seen[e.ID] || e.ID[14] != '8' || !strings.ContainsRune("89ab", rune(e.ID[19])) {
			t.Errorf("id %s", e.ID)
		}
		seen[e.ID] = true
	}
	b := NewBatch(Position{})
	e := sample(0)
	e.ID = "given"
	add(t, b, e)
	if !strings.Contains(string(b.buf), `"id":"given"`) {
		t.Error("an id that was given is replaced")
	}
	e.Actor = ""
	if err := b.Add(&e); err == nil || b.Len() != 1 || b.Position().Size != 1 {
		t.Errorf("after an error: %v, %d lines", err, b.Len())
	}
	e.Actor = "x"
	add(t, b, e)
	if b.Len() != 2 {
		t.Error("the batch cannot be used after an error")
	}
}

// TestVerifyFrom begins behind a position, over more than one segment.
func TestVerifyFrom(t *testing.T) {
	whole := func(t *testing.T) (string, []Position) {
		outbox := newOutbox(t)
		return outbox, write(t, open(t, outbox, nil), Position{}, 200, 10, 200, 10)
	}
	outbox, ends := whole(t)
	if ends[1].Segment == ends[3].Segment || ends[3].Segment == 0 {
		t.Fatal("everything is in one segment")
	}
	for i, from := range append([]Position{{}}, ends...) {
		var seen []int64
		end, findings := verify(t, outbox, VerifyOptions{From: from, Known: []Position{ends[3], ends[1]},
			Event: func(e *Event, _ Position) error { seen = append(seen, e.Seq); return nil }})
		if !end.Equal(ends[3]) || len(findings) > 0 || int64(len(seen)) != ends[3].Size-from.Size || len(seen) > 0 && seen[0] != from.Size {
			t.Errorf("from %d: end %d, %d events, %v", i, end.Size, len(seen), findings)
		}
	}
	for name, test := range map[string]struct {
		seq, from int64 // of the line that is changed; line behind which Verify begins
		want      string
	}{
		"behind":      {215, 210, CodeChainBroken},
		"far behind":  {415, 210, CodeChainBroken},
		"before":      {100, 210, ""}, // that is the price
		"just before": {209, 210, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			outbox, ends := whole(t)
			segment, _, err := segments{dir: filepath.Join(outbox, "ledger")}.floor(test.seq)
			if err != nil {
				t.Fatal(err)
			}
			edit(t, segmentFile(outbox, segment), func(s string) string {
				lines := strings.SplitAfter(s, "\n")
				lines[test.seq-segment] = strings.Replace(lines[test.seq-segment], `"actor":"`, `"actor":"x`, 1)
				return strings.Join(lines, "")
			})
			if _, findings := verify(t, outbox, VerifyOptions{}); len(findings) == 0 {
				t.Fatal("the whole verification finds nothing")
			}
			var got string
			_, err = open(t, outbox, nil).Verify(t.Context(), VerifyOptions{From: ends[1]}, func(f Finding) error {
				got = f.Code
				return nil
			})
			var tampered *TamperError
			if errors.As(err, &tampered) {
				got = "refused"
			} else if err != nil {
				t.Fatal(err)
			}
			if got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
	for name, spoil := range map[string]func(*Position){
		"another leaf":    func(p *Position) { p.Leaf[0]++ },
		"another offset":  func(p *Position) { p.Offset-- },
		"another segment": func(p *Position) { p.Segment++ },
		"too long":        func(p *Position) { p.Offset += 1 << 20 },
	} {
		from := ends[1]
		spoil(&from)
		var tampered *TamperError
		if _, err := open(t, outbox, nil).Verify(t.Context(), VerifyOptions{From: from}, nil); !errors.As(err, &tampered) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Another tree over the lines before is seen by whoever remembers the true one.
	forged := ends[1]
	forged.frontier = &node{[32]byte{1}, forged.frontier.left}
	if _, findings := verify(t, outbox, VerifyOptions{From: forged, Known: []Position{ends[3]}}); len(findings) != 1 || findings[0].Code != CodeRootDiffers {
		t.Errorf("another tree: %v", findings)
	}
	if _, findings := verify(t, outbox, VerifyOptions{Known: []Position{ends[3], batch(t, ends[3], 1).Position()}}); len(findings) != 1 ||
		findings[0].Code != CodeShorter {
		t.Errorf("the longer of two: %v", findings)
	}
}
