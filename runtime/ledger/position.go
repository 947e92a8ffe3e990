package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// Position is a place between two lines of the ledger, with everything needed to go on from there: the chain and the
// Merkle tree over the lines before it. The zero value is the beginning. A Position is small and never changes, so that
// one may be kept for each line of a batch.
type Position struct {
	Size    int64    // lines before the position: the number of the next one, and the size of the tree
	Segment int64    // number of the first line of the segment in which the position lies
	Offset  int64    // bytes before the position in that segment
	Leaf    [32]byte // leaf hash of the line before; zero where there is none

	frontier *node
}

// node is one of the perfect subtrees of which the tree consists, linked to the next larger one to its left. Nodes are
// shared between positions and never change. compact.Range of transparency-dev/merkle does the same with slices, at
// five times the price and with positions that must not be copied; a test compares the two.
type node struct {
	hash [32]byte
	left *node
}

// Next returns the position behind line, given without its newline, in the same segment.
func (p Position) Next(line []byte) Position {
	leaf := LeafHash(line)
	hash, left := leaf, p.frontier
	for n := p.Size; n&1 == 1; n >>= 1 {
		hash = nodeHash(&left.hash, &hash)
		left = left.left
	}
	return Position{
		Size:     p.Size + 1,
		Segment:  p.Segment,
		Offset:   p.Offset + int64(len(line)) + 1,
		Leaf:     leaf,
		frontier: &node{hash, left},
	}
}

// Root returns the RFC 6962 root hash of the lines before the position.
func (p Position) Root() [32]byte {
	if p.frontier == nil {
		return sha256.Sum256(nil)
	}
	hash := p.frontier.hash
	for n := p.frontier.left; n != nil; n = n.left {
		hash = nodeHash(&n.hash, &hash)
	}
	return hash
}

// RootHex returns Root in lower-case hex.
func (p Position) RootHex() string {
	root := p.Root()
	return hex.EncodeToString(root[:])
}

// Prev returns what the next line must have as "prev": the leaf hash of the line before in lower-case hex, and for the
// first line the root of the empty tree, the SHA-256 of nothing.
func (p Position) Prev() string {
	if p.Size == 0 {
		root := p.Root()
		return hex.EncodeToString(root[:])
	}
	return hex.EncodeToString(p.Leaf[:])
}

// Equal reports whether p and q are the same place in the same history.
func (p Position) Equal(q Position) bool {
	return p.Size == q.Size && p.Segment == q.Segment && p.Offset == q.Offset && p.Leaf == q.Leaf && p.Root() == q.Root()
}

// MarshalText prints "SIZE SEGMENT OFFSET LEAF HASH…", with the hashes of the perfect subtrees from right to left, in
// lower-case hex. There are as many as SIZE has one bits.
func (p Position) MarshalText() ([]byte, error) {
	b := strconv.AppendInt(nil, p.Size, 10)
	b = strconv.AppendInt(append(b, ' '), p.Segment, 10)
	b = strconv.AppendInt(append(b, ' '), p.Offset, 10)
	b = hex.AppendEncode(append(b, ' '), p.Leaf[:])
	for n := p.frontier; n != nil; n = n.left {
		b = hex.AppendEncode(append(b, ' '), n.hash[:])
	}
	return b, nil
}

// UnmarshalText reads what MarshalText prints, and nothing else.
func (p *Position) UnmarshalText(text []byte) error {
	fields := strings.Split(string(text), " ")
	if len(fields) < 4 {
		return fmt.Errorf("ledger position %q: four fields or more expected", text)
	}
	var q Position
	for i, v := range []*int64{&q.Size, &q.Segment, &q.Offset} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil || n < 0 || strconv.FormatInt(n, 10) != fields[i] {
			return fmt.Errorf("ledger position %q: %q is not a number", text, fields[i])
		}
		*v = n
	}
	hashes := make([][32]byte, len(fields)-3)
	for i := range hashes {
		if !isDigest(fields[i+3]) {
			return fmt.Errorf("ledger position %q: %q is not a hash", text, fields[i+3])
		}
		if _, err := hex.Decode(hashes[i][:], []byte(fields[i+3])); err != nil {
			return fmt.Errorf("ledger position %q: %w", text, err)
		}
	}
	q.Leaf = hashes[0]
	hashes = hashes[1:]
	if len(hashes) != bits.OnesCount64(uint64(q.Size)) {
		return fmt.Errorf("ledger position %q: %d hashes do not make a tree of %d lines", text, len(hashes), q.Size)
	}
	for i := len(hashes) - 1; i >= 0; i-- {
		q.frontier = &node{hashes[i], q.frontier}
	}
	if q.Size == 0 && q != (Position{}) || q.Size > 0 && (q.Segment >= q.Size || q.Offset == 0) ||
		q.Size&1 == 1 && q.frontier.hash != q.Leaf {
		return fmt.Errorf("ledger position %q: its parts contradict each other", text)
	}
	*p = q
	return nil
}

// LeafHash returns the RFC 6962 leaf hash of a line without its newline: SHA-256 of a zero byte and the line.
func LeafHash(line []byte) [32]byte {
	var buf [1024]byte
	return sha256.Sum256(append(append(buf[:0], 0), line...))
}

// nodeHash returns the RFC 6962 hash of an inner node.
func nodeHash(left, right *[32]byte) [32]byte {
	var buf [65]byte
	buf[0] = 1
	copy(buf[1:], left[:])
	copy(buf[33:], right[:])
	return sha256.Sum256(buf[:])
}
