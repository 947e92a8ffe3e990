package pipeline

import (
	"cmp"
	"slices"

	"github.com/sheratan/sheratan/pipeline/job"
)

// turnQueue are the attempts that wait for a slot of this process. They leave it in the order of claims, so that a job that has
// become ready since goes before those that come behind it; and as in a claim, the sources take turns among jobs of the same
// priority: a source of which hundreds were leased ahead does not make another one wait for all of them.
type turnQueue struct {
	list []*attempt
	last map[turnOf]int       // the turns that were given out
	now  map[job.Priority]int // the turn of the attempt that left last
}

// turnOf is whose turn it is: those of each priority are given by themselves.
type turnOf struct {
	priority job.Priority
	source   string
}

// add gives attempts their turns: each comes behind those that its source has in the queue, but none behind those that were
// added before it by others.
func (q *turnQueue) add(list []*attempt) {
	if q.last == nil {
		q.last, q.now = map[turnOf]int{}, map[job.Priority]int{}
	}
	for _, a := range list {
		of := turnOf{a.row.Priority, a.row.Source}
		a.turn = max(q.now[of.priority], q.last[of]+1)
		q.last[of] = a.turn
	}
	q.list = append(q.list, list...)
}

// take takes the attempt out of the queue that begins next. There must be one.
func (q *turnQueue) take() *attempt {
	inOrder := func(a, b *attempt) int {
		return cmp.Or(cmp.Compare(a.row.Priority.Class(), b.row.Priority.Class()), a.row.DueAt.Compare(b.row.DueAt), cmp.Compare(a.row.Seq, b.row.Seq))
	}
	first := slices.MinFunc(q.list, inOrder)
	at := -1
	for i, a := range q.list {
		if a.row.Priority != first.row.Priority {
			continue
		}
		if at < 0 || cmp.Or(cmp.Compare(a.turn, q.list[at].turn), inOrder(a, q.list[at])) < 0 {
			at = i
		}
	}
	next := q.list[at]
	q.now[next.row.Priority] = next.turn
	q.keep(slices.Delete(q.list, at, at+1))
	return next
}

// keep leaves only these attempts in the queue. An empty one remembers no turns.
func (q *turnQueue) keep(list []*attempt) {
	if q.list = list; len(list) == 0 {
		*q = turnQueue{}
	}
}
