package index

import (
	"cmp"
	"container/heap"
)

// claimLine is the queues of a claim in the order of their turns. The first head in the claim order says which priority is next, so that
// jobs age as they do without turns; of the heads of this priority that one is taken whose source has the fewest jobs in flight, and of
// those the one whose turn was the longest ago. So a source with very many jobs leaves the others their share of the slots, whoever came
// first.
type claimLine struct {
	room     map[string]*int
	turns    *claimTurns
	arrival  claimHeap          // all of them, by the claim order
	turn     map[int]*claimHeap // those of each priority, by turns
	of       map[population][]*claimQueue
	compared int // how often two queues were
}

const (
	byArrival = iota
	byTurn
)

// claimHeap has the places of its queues in them.
type claimHeap struct {
	line *claimLine
	by   int
	list []*claimQueue
}

func (h *claimHeap) Len() int { return len(h.list) }

func (h *claimHeap) Less(i, j int) bool {
	h.line.compared++
	a, b := h.list[i], h.list[j]
	if h.by == byTurn {
		if c := cmp.Or(cmp.Compare(a.turn.inFlight, b.turn.inFlight), cmp.Compare(a.turn.last, b.turn.last)); c != 0 {
			return c < 0
		}
	}
	return a.heads[0].compare(b.heads[0]) < 0
}

func (h *claimHeap) Swap(i, j int) {
	h.list[i], h.list[j] = h.list[j], h.list[i]
	h.list[i].at[h.by], h.list[j].at[h.by] = i, j
}

func (h *claimHeap) Push(x any) {
	q := x.(*claimQueue)
	q.at[h.by] = len(h.list)
	h.list = append(h.list, q)
}

func (h *claimHeap) Pop() any {
	q := h.list[len(h.list)-1]
	h.list = h.list[:len(h.list)-1]
	return q
}

func newClaimLine(room map[string]*int, turns *claimTurns) *claimLine {
	l := &claimLine{room: room, turns: turns, turn: map[int]*claimHeap{}, of: map[population][]*claimQueue{}}
	l.arrival = claimHeap{line: l, by: byArrival}
	return l
}

// add puts a queue in its place, unless nothing of it can be claimed.
func (l *claimLine) add(q *claimQueue) {
	if len(q.heads) == 0 || l.full(q) {
		return
	}
	head := q.heads[0]
	if q.turn = l.turns.of[head.of]; q.turn == nil {
		q.turn = &claimTurn{}
		l.turns.of[head.of] = q.turn
	}
	if l.turn[head.priority] == nil {
		l.turn[head.priority] = &claimHeap{line: l, by: byTurn}
	}
	q.priority = head.priority
	heap.Push(&l.arrival, q)
	heap.Push(l.turn[q.priority], q)
	l.of[head.of] = append(l.of[head.of], q)
}

func (l *claimLine) full(q *claimQueue) bool {
	return isFull(l.room[q.heads[0].of.bucket]) || isFull(q.room)
}

// next takes the queue out whose head is claimed next, nil where there is none.
func (l *claimLine) next() *claimQueue {
	for len(l.arrival.list) > 0 {
		q := l.arrival.list[0]
		if !l.full(q) {
			q = l.turn[q.priority].list[0]
		}
		l.remove(q)
		if !l.full(q) {
			return q
		}
	}
	return nil
}

func (l *claimLine) remove(q *claimQueue) {
	heap.Remove(&l.arrival, q.at[byArrival])
	heap.Remove(l.turn[q.priority], q.at[byTurn])
	of := l.of[q.heads[0].of]
	for i := range of {
		if of[i] == q {
			of[i] = of[len(of)-1]
			l.of[q.heads[0].of] = of[:len(of)-1]
			break
		}
	}
}

// took notes that a source has had its turn with a queue, which is put where its next head belongs.
func (l *claimLine) took(p population, q *claimQueue) {
	l.turns.last++
	turn := l.turns.of[p]
	turn.inFlight, turn.last = turn.inFlight+1, l.turns.last
	for _, other := range l.of[p] {
		heap.Fix(l.turn[other.priority], other.at[byTurn])
	}
	l.add(q)
}
