package index

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// claimPage is how many heads of a queue are read at a time.
const claimPage = 64

// Claim returns up to limit jobs that may be dispatched now, in the order in which they should be: by class, then by due
// time, then by arrival, and among jobs of the same priority the sources take turns. It passes over the sources that are paused
// and never returns more of a bucket than max_concurrent_jobs leaves room for. Its cost depends on limit and on the number of
// sources with ready jobs, not on how many jobs there are.
func (r *Reader) Claim(limit int) ([]Row, error) {
	if limit <= 0 {
		return nil, nil
	}
	open, room, turns, err := r.claimable()
	if err != nil {
		return nil, err
	}
	tracks, err := r.openTracks()
	if err != nil {
		return nil, err
	}
	line := newClaimLine(room, turns)
	for _, q := range claimQueues(open, tracks) {
		if err := q.fill(r, min(limit, claimPage)); err != nil {
			return nil, err
		}
		line.add(q)
	}
	var seqs []int64
	for len(seqs) < limit {
		q := line.next()
		if q == nil {
			break
		}
		head := q.heads[0]
		take(room[head.of.bucket])
		take(q.room)
		seqs = append(seqs, head.seq)
		if err := q.advance(r); err != nil {
			return nil, err
		}
		line.took(head.of, q)
	}
	return r.bySeq(seqs)
}

// claimTurn is what a source has had: jobs in flight, and the number of the event that dispatched one of its jobs last.
type claimTurn struct {
	inFlight int
	last     int64
}

// claimTurns are the turns of all sources, and those that a claim gives them.
type claimTurns struct {
	of   map[population]*claimTurn
	last int64
}

func (t *claimTurns) had(p population, turn claimTurn) {
	t.of[p], t.last = &turn, max(t.last, turn.last)
}

// ClaimIDs returns those of the jobs that Claim could return if there were no others, in the order of ids.
func (r *Reader) ClaimIDs(ids []string) ([]Row, error) {
	open, room, _, err := r.claimable()
	if err != nil {
		return nil, err
	}
	tracks, err := r.openTracks()
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
		bucket, track := room[row.Bucket], tracks[row.Track]
		if isFull(bucket) || row.Track != "" && (track == nil || isFull(track)) {
			continue
		}
		take(bucket)
		take(track)
		seen[id] = true
		rows = append(rows, row)
	}
	return rows, nil
}

// claimable returns the sources of which a job may be claimed, how many of each bucket, and the turns that they have had; a bucket
// without an entry is not limited.
func (r *Reader) claimable() (open []population, room map[string]*int, turns *claimTurns, err error) {
	if err := errors.Join(r.sync(), r.syncCounts()); err != nil {
		return nil, nil, nil, err
	}
	turns = &claimTurns{of: map[population]*claimTurn{}}
	inFlight := map[string]int{}
	err = r.c.each(`SELECT bucket, source, ready, in_flight, dispatched,
    EXISTS (SELECT 1 FROM paused WHERE paused.source = '' OR paused.source = counts.source)
  FROM counts WHERE ready > 0 OR in_flight > 0 ORDER BY bucket, source`, func(s *stmt) error {
		p := population{s.ColumnText(0), s.ColumnText(1)}
		turns.had(p, claimTurn{s.ColumnInt(3), s.ColumnInt64(4)})
		inFlight[p.bucket] += s.ColumnInt(3)
		if s.ColumnInt(2) > 0 && !s.ColumnBool(5) {
			open = append(open, p)
		}
		return nil
	})
	if err != nil {
		return nil, nil, nil, err
	}
	room = map[string]*int{}
	kept := open[:0]
	for _, p := range open {
		if _, known := room[p.bucket]; !known {
			limit, err := r.RateWindow(p.bucket)
			if err != nil {
				return nil, nil, nil, err
			}
			room[p.bucket] = nil
			if limit.Concurrent > 0 {
				left := max(0, limit.Concurrent-inFlight[p.bucket])
				room[p.bucket] = &left
			}
		}
		if !isFull(room[p.bucket]) {
			kept = append(kept, p)
		}
	}
	return kept, room, turns, nil
}

// isFull reports whether nothing is left; nil is without limit.
func isFull(left *int) bool { return left != nil && *left == 0 }

// take uses up one of what is left; nil is without limit.
func take(left *int) {
	if left != nil {
		*left--
	}
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

// claimHead is a place in the claim order, and whose job is there.
type claimHead struct {
	class, due, seq int64
	priority        int
	of              population
}

func (a claimHead) compare(b claimHead) int {
	return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.due, b.due), cmp.Compare(a.seq, b.seq))
}

// claimQueue reads the jobs of one source that are ready, or throttled, or those of one mission with a track of its own, a page
// at a time.
type claimQueue struct {
	from  *heads
	keys  []any // what from asks for
	room  *int  // of the track; nil without one
	heads []claimHead
	page  int // size of the last page; 0 before the first
	done  bool

	turn     *claimTurn // of the source of the head
	priority int        // of the head
	at       [2]int     // the places in the line
}

// heads are the questions for the first page of a queue, and for those that follow.
type heads struct{ first, after string }

// newHeads makes them for an index that goes on in the order of claims behind what from asks for.
func newHeads(from string) *heads {
	const order = " ORDER BY class, due_at, seq LIMIT ?"
	first := "SELECT class, due_at, seq, priority, bucket, source FROM jobs " + from
	return &heads{first + order, first + " AND (class, due_at, seq) > (?, ?, ?)" + order}
}

var (
	claimHeads = newHeads("INDEXED BY jobs_claim WHERE status = 'pending' AND ready = 1 AND track = '' AND bucket = ? AND source = ?")
	trackHeads = newHeads("INDEXED BY jobs_claim_track WHERE status = 'pending' AND ready = 1 AND track <> '' AND track = ?")
)

// fill reads the next page.
func (q *claimQueue) fill(r *Reader, size int) error {
	sql, values := q.from.first, slices.Clone(q.keys)
	if len(q.heads) > 0 {
		last := q.heads[len(q.heads)-1]
		sql, values = q.from.after, append(values, last.class, last.due, last.seq)
	}
	var page []claimHead
	err := r.c.each(sql, func(s *stmt) error {
		page = append(page, claimHead{s.ColumnInt64(0), s.ColumnInt64(1), s.ColumnInt64(2), s.ColumnInt(3),
			population{s.ColumnText(4), s.ColumnText(5)}})
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
