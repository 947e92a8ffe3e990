package index

import (
	"cmp"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// twin is the index done stupidly: maps, and everything that follows from them looked for anew at each question.
type twin struct {
	jobs       map[string]*twinJob
	order      []string // by arrival
	keys       map[[2]string]string
	rates      map[string]twinRate
	again      map[string][]time.Time // when attempts of a bucket were repeated
	turns      map[[2]string]int64    // bucket and source to the event that counted a job of it last
	dispatched map[[2]string]int64    // and that dispatched one
	limits     map[string][2]int
	paused     map[string]bool
}

type twinJob struct {
	seq                          int64
	source, bucket, key, revises string
	lane                         string
	laneWaits                    bool
	priority                     int
	taken                        bool // by a claim that goes on
	deps                         []string
	follows                      map[string]string // dependency to the job that stands for it
	onFailure                    string
	revised                      string
	status                       job.Status
	accepted, ready              bool
	gated                        bool // out of the inbox
	due, wake, lease             time.Time
	joined, host                 string
	attempt, retries             int
}

type twinRate struct {
	window string
	count  int
}

func newTwin() *twin {
	return &twin{jobs: map[string]*twinJob{}, keys: map[[2]string]string{}, rates: map[string]twinRate{}, again: map[string][]time.Time{}, limits: map[string][2]int{},
		turns: map[[2]string]int64{}, dispatched: map[[2]string]int64{},
		paused: map[string]bool{}}
}

func parse(s string) time.Time {
	if s == "" {
		return time.Time{}
	}
	t, err := job.ParseTime(s)
	if err != nil {
		panic(err)
	}
	return t
}

// apply takes the meta as it was before it became JSON.
func (w *twin) apply(ev *ledger.Event, meta any, deps []string) {
	j := w.jobs[ev.JobID]
	if m, ok := meta.(ledger.Received); ok {
		deps = slices.Clone(deps)
		slices.Sort(deps)
		follows := map[string]string{}
		for _, d := range deps {
			follows[d] = w.standing(d)
		}
		w.jobs[ev.JobID] = &twinJob{follows: follows, onFailure: m.OnDepFailure, seq: ev.Seq, source: m.Source, bucket: m.Bucket, key: m.Key, revises: m.Revises, lane: m.ConcurrencyKey, priority: m.Priority,
			deps: slices.Compact(deps), status: job.StatusPending}
		w.order = append(w.order, ev.JobID)
		return
	}
	if j != nil {
		started := j.status == job.StatusRunning
		j.status, _ = job.Next(ev.Event, j.status)
		defer func() {
			if j.status != job.StatusPending {
				j.ready = false
			}
			if j.status != job.StatusThrottled {
				j.laneWaits = false
			}
			if j.status != job.StatusPending && j.status != job.StatusRunning {
				j.host, j.lease = "", time.Time{}
			}
		}()
		w.applyJob(ev, meta, deps, j, started)
		return
	}
	switch m := meta.(type) {
	case ledger.PausedMeta:
		switch {
		case ev.Event == job.Paused:
			w.paused[m.Source] = true
		case m.Source == "":
			w.paused = map[string]bool{}
		default:
			delete(w.paused, m.Source)
		}
	case map[string][2]int:
		w.limits = m
	}
}

func (w *twin) applyJob(ev *ledger.Event, meta any, deps []string, j *twinJob, started bool) {
	idle := func() { j.ready, j.wake, j.laneWaits, j.joined = false, time.Time{}, false, "" }
	free := func() { j.host, j.lease = "", time.Time{} }
	switch m := meta.(type) {
	case ledger.Approved:
		j.gated, j.accepted, j.joined, j.due, j.wake = true, true, "", parse(m.DueAt), time.Time{}
		j.laneWaits = false
		j.ready = m.Ready && j.host == ""
		w.take(ev.JobID, j)
		w.rate(ev, j, m.Slot)
	case ledger.Blocked:
		j.accepted = false
		idle()
		free()
		w.drop(ev.JobID, j)
		j.gated = true
	case ledger.Ready:
		j.joined, j.wake, j.laneWaits = "", time.Time{}, false
		j.ready = j.gated && j.host == ""
		w.take(ev.JobID, j)
		w.rate(ev, j, m.Slot)
	case ledger.Throttled:
		free()
		j.ready, j.wake, j.laneWaits = false, parse(m.Until), m.Lane && j.lane != ""
		w.rate(ev, j, m.Slot)
	case ledger.KeyLapsed:
		w.drop(ev.JobID, j)
	case ledger.Deduplicated:
		if !m.Resubmitted && (j.status == job.StatusPending || j.status == job.StatusThrottled) {
			idle()
			free()
			j.joined, j.gated = m.Of, true
			w.drop(ev.JobID, j)
		}
	case ledger.Revised:
		j.revised = m.Revision
		for _, other := range w.jobs {
			for d, follows := range other.follows {
				if follows == ev.JobID {
					other.follows[d] = m.Revision
				}
			}
		}
	case ledger.Dispatched:
		idle()
		j.host, j.lease, j.attempt = m.Host, parse(m.LeaseUntil), m.Attempt
		if ev.Event == job.JobDispatched {
			w.dispatched[[2]string{j.bucket, j.source}] = ev.Seq
		}
	case ledger.Started:
		idle()
		j.attempt = m.Attempt
	case ledger.Ended:
		if m.Attempt > 0 {
			j.attempt = m.Attempt
		}
		if ev.Event != job.JobAttemptFailed {
			joined := j.joined
			idle()
			free()
			j.joined, j.gated = joined, true
			if m.DeduplicatedOf != "" {
				j.joined = m.DeduplicatedOf
			}
		}
	case ledger.RetryScheduled:
		idle()
		free()
		if !m.Operator && m.Retry > j.retries {
			w.again[j.bucket] = append(w.again[j.bucket], parse(ev.Timestamp))
		}
		j.wake, j.retries = parse(m.WakeAt), m.Retry
		if m.Operator {
			j.retries = 0
		}
		j.gated = j.accepted
		if !started && j.gated {
			w.take(ev.JobID, j)
		}
	case ledger.Patched:
		j.priority, j.onFailure, j.lane = m.Priority, m.OnDepFailure, m.ConcurrencyKey
		j.deps, j.follows = slices.Clone(deps), map[string]string{}
		slices.Sort(j.deps)
		j.deps = slices.Compact(j.deps)
		for _, d := range j.deps {
			j.follows[d] = w.standing(d)
		}
	case ledger.Cancelled, ledger.Decided:
		if j.status == job.StatusCancelled {
			idle()
			free()
			w.drop(ev.JobID, j)
			j.gated = true
		}
	case ledger.Unknown:
		if ev.Event == job.OutcomeUnknown {
			idle()
			free()
			j.gated = true
			break
		}
		if !started && j.host != "" {
			j.attempt--
		}
		idle()
		free()
		j.ready = j.gated
	}
}

func (w *twin) take(id string, j *twinJob) {
	k := [2]string{j.source, j.key}
	if j.key == "" {
		return
	}
	if holder, held := w.keys[k]; held {
		other := w.jobs[holder]
		if holder == id || holder != j.revises || other.status != job.StatusFailed && other.status != job.StatusCancelled {
			return
		}
	}
	w.keys[k] = id
}

func (w *twin) drop(id string, j *twinJob) {
	if k := [2]string{j.source, j.key}; w.keys[k] == id {
		delete(w.keys, k)
	}
}

func (w *twin) rate(ev *ledger.Event, j *twinJob, window string) {
	if window == "" {
		return
	}
	w.turns[[2]string{j.bucket, j.source}] = ev.Seq
	r := w.rates[j.bucket]
	if r.window != window {
		r = twinRate{window: window}
	}
	r.count++
	w.rates[j.bucket] = r
}

func (w *twin) zone(j *twinJob) string {
	if j.status.Zone() == "approved" && !j.gated {
		return "inbox"
	}
	return j.status.Zone()
}

// standing follows the revisions of a job; those of a random history can lead in circles.
func (w *twin) standing(id string) string {
	for range revisions {
		if j := w.jobs[id]; j != nil && j.revised != "" {
			id = j.revised
		}
	}
	return id
}

func (w *twin) deps(j *twinJob) (left int, failed string) {
	for _, d := range j.deps {
		var status job.Status
		if on := w.jobs[j.follows[d]]; on != nil {
			status = on.status
		}
		if status != job.StatusCompleted {
			left++
		}
		if failed == "" && (status == job.StatusFailed || status == job.StatusCancelled) {
			failed = d
		}
	}
	return left, failed
}

// where returns the ids of the jobs for which ok holds, by arrival.
func (w *twin) where(ok func(*twinJob) bool) []string {
	ids := []string{}
	for _, id := range w.order {
		if ok(w.jobs[id]) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (w *twin) waiting(j *twinJob) bool {
	return (j.status == job.StatusPending || j.status == job.StatusThrottled) && w.zone(j) == "approved" && j.host == ""
}

func (w *twin) due(now time.Time) []string {
	ids := w.where(func(j *twinJob) bool {
		left, _ := w.deps(j)
		return w.waiting(j) && j.status == job.StatusPending && !j.ready && left == 0 && j.joined == "" && !j.wake.After(now)
	})
	sort.SliceStable(ids, func(a, b int) bool { return w.jobs[ids[a]].wake.Before(w.jobs[ids[b]].wake) })
	return ids
}

// throttled returns the jobs of a bucket that wait for a window, as they get one: again and again one of the source whose turn
// it is.
func (w *twin) throttled(bucket string, limit int) []string {
	turns := maps.Clone(w.turns)
	left := w.where(func(j *twinJob) bool {
		deps, _ := w.deps(j)
		return j.bucket == bucket && w.waiting(j) && j.status == job.StatusThrottled && !j.laneWaits && deps == 0 && j.joined == ""
	})
	ids := []string{}
	for n := int64(1 << 40); len(left) > 0 && len(ids) < limit; n++ {
		best := slices.MinFunc(left, func(a, b string) int {
			x, y := w.jobs[a], w.jobs[b]
			return cmp.Or(cmp.Compare(turns[[2]string{bucket, x.source}], turns[[2]string{bucket, y.source}]),
				cmp.Compare(x.source, y.source), cmp.Compare(min(x.priority, 1), min(y.priority, 1)), x.due.Compare(y.due), cmp.Compare(x.seq, y.seq))
		})
		ids = append(ids, best)
		turns[[2]string{bucket, w.jobs[best].source}] = n
		left = slices.DeleteFunc(left, func(id string) bool { return id == best })
	}
	return ids
}

func (w *twin) concurrent(bucket string) int {
	if l, ok := w.limits[bucket]; ok {
		return l[1]
	}
	if l, ok := w.limits["*"]; ok {
		return l[1]
	}
	return DefaultConcurrentJobs
}

// claim takes again and again, of the jobs with the priority of the first one in order, one of the source with the fewest in
// flight, and of those of the source that had one the longest ago.
func (w *twin) claim(limit int) []string {
	type turn struct {
		inFlight int
		last     int64
	}
	of := func(j *twinJob) [2]string { return [2]string{j.bucket, j.source} }
	turns, busy := map[[2]string]turn{}, map[string]int{}
	for p, seq := range w.dispatched {
		turns[p] = turn{0, seq}
	}
	for _, j := range w.jobs {
		if j.host != "" || j.status == job.StatusRunning {
			busy[j.bucket]++
			turns[of(j)] = turn{turns[of(j)].inFlight + 1, turns[of(j)].last}
		}
	}
	order := func(x, y *twinJob) int {
		return cmp.Or(cmp.Compare(min(x.priority, 1), min(y.priority, 1)), x.due.Compare(y.due), cmp.Compare(x.seq, y.seq))
	}
	claimed := []string{}
	for n := int64(1 << 40); len(claimed) < limit; n++ {
		var first *twinJob
		left := w.where(func(j *twinJob) bool {
			most := w.concurrent(j.bucket)
			ok := j.ready && !j.taken && !w.paused[""] && !w.paused[j.source] && (most == 0 || busy[j.bucket] < most)
			if ok && (first == nil || order(j, first) < 0) {
				first = j
			}
			return ok
		})
		if first == nil {
			break
		}
		best := first
		for _, id := range left {
			j := w.jobs[id]
			a, b := turns[of(j)], turns[of(best)]
			heads := slices.ContainsFunc(left, func(id string) bool { o := w.jobs[id]; return of(o) == of(j) && order(o, j) < 0 })
			if !heads && j.priority == first.priority && cmp.Or(cmp.Compare(a.inFlight, b.inFlight), cmp.Compare(a.last, b.last), order(j, best)) < 0 {
				best = j
			}
		}
		best.taken = true
		busy[best.bucket]++
		turns[of(best)] = turn{turns[of(best)].inFlight + 1, n}
		claimed = append(claimed, w.order[slices.IndexFunc(w.order, func(id string) bool { return w.jobs[id] == best })])
	}
	for _, j := range w.jobs {
		j.taken = false
	}
	return claimed
}

// retriesUsed counts the repeated attempts of a bucket in the hour that now lies in; an hour begins with the first that no
// hour has.
func (w *twin) retriesUsed(bucket string, now time.Time) (used int) {
	var start time.Time
	for _, at := range w.again[bucket] {
		if start.IsZero() || !at.Before(start.Add(time.Hour)) {
			start, used = at, 0
		}
		used++
	}
	if start.IsZero() || !now.Before(start.Add(time.Hour)) {
		return 0
	}
	return used
}

// lane counts the jobs that have a concurrency key of a source, and returns those that wait for it in the order of their turn.
func (w *twin) lane(source, key string) (holding int, waiting []string) {
	in := func(j *twinJob) bool { return j.source == source && j.lane == key }
	holding = len(w.where(func(j *twinJob) bool { return in(j) && (j.ready || j.host != "" || j.status == job.StatusRunning) }))
	waiting = w.where(func(j *twinJob) bool { return in(j) && j.laneWaits })
	sort.SliceStable(waiting, func(a, b int) bool {
		x, y := w.jobs[waiting[a]], w.jobs[waiting[b]]
		if x, y := min(x.priority, 1), min(y.priority, 1); x != y {
			return x < y
		}
		return x.due.Before(y.due)
	})
	return holding, waiting
}

// nextInLane returns the first of those who wait for a concurrency key that nobody has.
func (w *twin) nextInLane() []string {
	ids := []string{}
	for _, source := range modelSources {
		for _, key := range modelLanes {
			if holding, waiting := w.lane(source, key); key != "" && holding == 0 && len(waiting) > 0 {
				ids = append(ids, waiting[0])
			}
		}
	}
	return ids
}
