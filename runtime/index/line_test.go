package index

import (
	"fmt"
	"testing"
)

// A claim costs little more with a thousand sources than with ten: it is counted how often two queues are compared.
func TestClaimComparesFewQueues(t *testing.T) {
	const sources, claims = 1000, 512
	line := newClaimLine(map[string]*int{}, &claimTurns{of: map[population]*claimTurn{}})
	for i := range sources {
		p := population{"b", fmt.Sprint("s", i)}
		line.add(&claimQueue{done: true, heads: []claimHead{{seq: int64(i), of: p}, {seq: int64(sources + i), of: p}}})
	}
	line.compared = 0
	for i := range claims {
		q := line.next()
		head := q.heads[0]
		if head.seq != int64(i) {
			t.Fatalf("claim %d is job %d", i, head.seq)
		}
		q.heads = q.heads[1:]
		line.took(head.of, q)
	}
	if most := claims * 100; line.compared > most {
		t.Errorf("%d comparisons for %d claims, want at most %d", line.compared, claims, most)
	}
}
