package ledger

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"
)

// hashes stores the hashes of a tlog tree.
type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, n := range indexes {
		out[i] = h[n]
	}
	return out, nil
}

func TestPositionAgreesWithOthers(t *testing.T) {
	var stored hashes
	factory := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	dumb := factory.NewEmptyRange(0)
	pos := Position{}
	if got, want := pos.RootHex(), hex.EncodeToString(rfc6962.DefaultHasher.EmptyRoot()); got != want {
		t.Errorf("the empty tree has root %s, want %s", got, want)
	}
	for n := range int64(1100) {
		// Lengths on both sides of what LeafHash takes without allocating.
		line := []byte(strings.Repeat("x", int(n)) + fmt.Sprint(n))
		if err := dumb.Append(rfc6962.DefaultHasher.HashLeaf(line), nil); err != nil {
			t.Fatal(err)
		}
		more, err := tlog.StoredHashes(n, line, stored)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, more...)
		before, root := pos, pos.Root()
		pos = pos.Next(line)
		if before.Root() != root {
			t.Fatalf("line %d changed the position before it", n)
		}
		if pos.Size != n+1 || pos.Offset != before.Offset+int64(len(line))+1 || pos.Leaf != tlog.RecordHash(line) {
			t.Fatalf("line %d: position %+v", n, pos)
		}
		if want, err := tlog.TreeHash(pos.Size, stored); err != nil || tlog.Hash(pos.Root()) != want {
			t.Fatalf("line %d: root %s, tlog has %x, %v", n, pos.RootHex(), want, err)
		}
		got := pos.Root()
		if want, err := dumb.GetRootHash(nil); err != nil || !bytes.Equal(got[:], want) {
			t.Fatalf("line %d: root %x, compact has %x, %v", n, got, want, err)
		}
	}
}

func TestPositionsBranch(t *testing.T) {
	pos := Position{}
	for _, s := range []string{"a", "b", "c"} {
		pos = pos.Next([]byte(s))
	}
	one, other := pos.Next([]byte("d")), pos.Next([]byte("e"))
	again := pos.Next([]byte("d"))
	if one.Equal(other) || !one.Equal(again) {
		t.Error("two lines behind the same position disturb each other")
	}
}

func TestPositionText(t *testing.T) {
	pos := Position{}
	for n := range 200 {
		text, err := pos.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var got Position
		if err := got.UnmarshalText(text); err != nil || !got.Equal(pos) {
			t.Fatalf("%s: read back as %+v, %v", text, got, err)
		}
		if a, b := got.Next([]byte("x")), pos.Next([]byte("x")); !a.Equal(b) {
			t.Fatalf("%s: goes on differently", text)
		}
		pos = pos.Next(fmt.Append(nil, n))
		pos.Segment = pos.Size / 2
	}
}

func TestPositionTextRefused(t *testing.T) {
	pos := Position{}.Next([]byte("a")).Next([]byte("b")).Next([]byte("c"))
	b, _ := pos.MarshalText()
	good := string(b)
	var p Position
	if err := p.UnmarshalText(b); err != nil {
		t.Fatal(err)
	}
	fields := strings.Split(good, " ")
	with := func(i int, s string) string {
		f := append([]string{}, fields...)
		f[i] = s
		return strings.Join(f, " ")
	}
	for _, text := range []string{
		"", "0 0 0", with(0, "-3"), with(0, "03"), with(0, "4"), with(1, "3"), with(2, "0"), with(2, "+6"), with(3, "ab"),
		with(3, strings.ToUpper(fields[3])), with(3, zeros), good + " ", " " + good, good + "\n", good + " " + zeros,
		strings.Join(fields[:5], " "), "0 1 0 " + zeros, "0 0 1 " + zeros, "0 0 0 " + fields[3],
	} {
		if err := p.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	if !p.Equal(pos) {
		t.Error("a failed UnmarshalText changed the position")
	}
}

func FuzzPositionText(f *testing.F) {
	pos := Position{}
	for range 6 {
		b, _ := pos.MarshalText()
		f.Add(b)
		pos = pos.Next([]byte("x"))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var p Position
		if p.UnmarshalText(text) != nil {
			return
		}
		if again, err := p.MarshalText(); err != nil || !bytes.Equal(again, text) {
			t.Fatalf("%q is printed again as %q, %v", text, again, err)
		}
	})
}
