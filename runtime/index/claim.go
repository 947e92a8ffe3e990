package index

import (
	"cmp"
	"container/heap"
	"errors"
	"fmt"
)

// claimPage is how many heads of a queue are read at a time.
const claimPage = 64

// Claim returns up to limit jobs that may be dispatched now, in the order in which they should be: by class, then by due
// time, then by arrival. It passes over the sources that are paused and never returns more of a bucket than
// max_concurrent_jobs leaves room for. Its cost depends on limit and on the number of sources with ready jobs, not on how
// many jobs there are.
func (r *Reader) Claim(limit int) ([]Row, error) {
	if limit <= 0 {
		return nil, nil
	}
	open, room, err := r.claimable()
	if err != nil {
		return nil, err
	}
	var queues claimHeap
	for _, p := range open {
		q := &claimQueue{population: p, from: claimHeads}
		if err := q.fill(r, min(limit, claimPage)); err != nil {
			return nil, err
		}
		if len(q.heads) > 0 {
			queues = append(queues, q)
		}
	}
	heap.Init(&queues)
	var seqs []int64
	for len(seqs) < limit && len(queues) > 0 {
		q := queues[0]
		if left := room[q.bucket]; left != nil {
			if *left == 0 {
				heap.Pop(&queues)
				continue
			}
			*left--
		}
		seqs = append(seqs, q.heads[0].seq)
		if err := q.advance(r); err != nil {
			return nil, err
		}
		if len(q.heads) == 0 {
			heap.Pop(&queues)
		} else {
			heap.Fix(&queues, 0)
		}
	}
	return r.bySeq(seqs)
}

// ClaimIDs returns those of the jobs that Claim could return if there were no others, in the order of ids.
func (r *Reader) ClaimIDs(ids []string) ([]Row, error) {
	open, room, err := r.claimable()
	if err != nil {
		return nil, err
	}
	isOpen := map[population]bool{}
	for _, p := range open {
		isOpen[p] = true
	}
	var rows []Row
	seen := map[string]bool{}
	for _, id := range ids {
		row, found, err := r.Job(id)
		if err != nil {
			return nil, err
		}
		if !found || !row.Ready || seen[id] || !isOpen[population{row.Bucket, row.Source}] {
			continue
		}
		if left := room[row.Bucket]; left != nil {
			if *left == 0 {
				continue
			}
			*left--
		}
		seen[id] = true
		rows = append(rows, row)
	}
	return rows, nil
}

// claimable returns the sources of which a job may be claimed, and how many of each bucket; a bucket without an entry is not
// limited.
func (r *Reader) claimable() (open []population, room map[string]*int, err error) {
	if err := errors.Join(r.sync(), r.syncCounts()); err != nil {
		return nil, nil, err
	}
	inFlight := map[string]int{}
	err = r.c.each(`SELECT bucket, source, ready, in_flight,
    EXISTS (SELECT 1 FROM paused WHERE paused.source = '' OR paused.source = counts.source)
  FROM counts WHERE ready > 0 OR in_flight > 0 ORDER BY bucket, source`, func(s *stmt) error {
		p := population{s.ColumnText(0), s.ColumnText(1)}
		inFlight[p.bucket] += s.ColumnInt(3)
		if s.ColumnInt(2) > 0 && !s.ColumnBool(4) {
			open = append(open, p)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	room = map[string]*int{}
	kept := open[:0]
	for _, p := range open {
		if _, known := room[p.bucket]; !known {
			limit, err := r.RateWindow(p.bucket)
			if err != nil {
				return nil, nil, err
			}
			room[p.bucket] = nil
			if limit.Concurrent > 0 {
				left := max(0, limit.Concurrent-inFlight[p.bucket])
				room[p.bucket] = &left
			}
		}
		if left := room[p.bucket]; left == nil || *left > 0 {
			kept = append(kept, p)
		}
	}
	return kept, room, nil
}

// bySeq returns the jobs with these numbers in the order given.
func (r *Reader) bySeq(seqs []int64) ([]Row, error) {
	rows := make([]Row, len(seqs))
	for i, seq := range seqs {
		if r.tx != nil {
			if e := r.tx.cache.seqs[seq]; e != nil {
				rows[i] = e.row
				continue
			}
		}
		found, err := r.c.one(selectBySeq, func(s *stmt) error { return s.scan(&rows[i]) }, seq)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, fmt.Errorf("job number %d is in an index and not in its table", seq)
		}
	}
	return rows, nil
}

// claimHead is a place in the claim order.
type claimHead struct{ class, due, seq int64 }

func (a claimHead) compare(b claimHead) int {
	return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.due, b.due), cmp.Compare(a.seq, b.seq))
}

// claimQueue reads the jobs of one source that are ready, or throttled, a page at a time.
type claimQueue struct {
	population
	from  *heads
	heads []claimHead
	page  int // size of the last page; 0 before the first
	done  bool
}

// heads are the questions for the first page of a queue, and for those that follow.
type heads struct{ first, after string }

// newHeads makes them for an index that begins with bucket and source, and goes on in the order of claims.
func newHeads(from string) *heads {
	const order = " ORDER BY class, due_at, seq LIMIT ?"
	first := "SELECT class, due_at, seq FROM jobs " + from + " AND bucket = ? AND source = ?"
	return &heads{first + order, first + " AND (class, due_at, seq) > (?, ?, ?)" + order}
}

var claimHeads = newHeads("INDEXED BY jobs_claim WHERE status = 'pending' AND ready = 1")

// fill reads the next page.
func (q *claimQueue) fill(r *Reader, size int) error {
	sql, values := q.from.first, []any{q.bucket, q.source}
	if len(q.heads) > 0 {
		last := q.heads[len(q.heads)-1]
		sql, values = q.from.after, append(values, last.class, last.due, last.seq)
	}
	var page []claimHead
	err := r.c.each(sql, func(s *stmt) error {
		page = append(page, claimHead{s.ColumnInt64(0), s.ColumnInt64(1), s.ColumnInt64(2)})
		return nil
	}, append(values, size)...)
	q.heads, q.page, q.done = page, size, len(page) < size
	return err
}

// advance drops the head.
func (q *claimQueue) advance(r *Reader) error {
	if len(q.heads) == 1 && !q.done {
		return q.fill(r, q.page)
	}
	q.heads = q.heads[1:]
	return nil
}

type claimHeap []*claimQueue

func (h claimHeap) Len() int           { return len(h) }
func (h claimHeap) Less(i, j int) bool { return h[i].heads[0].compare(h[j].heads[0]) < 0 }
func (h claimHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *claimHeap) Push(x any)        { *h = append(*h, x.(*claimQueue)) }
func (h *claimHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
