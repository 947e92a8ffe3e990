package index

import (
	"fmt"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
)

// compare compares the index with the twin.
func (m *model) compare(r *Reader) {
	same := func(what string, got, want any) {
		if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
			m.rt.Fatalf("%s: %s, want %s", what, g, w)
		}
	}
	ids := func(what string, rows []Row, err error, want []string) {
		if err != nil {
			m.rt.Fatal(err)
		}
		same(what, idsOf(rows), want)
	}
	w := m.twin
	for _, id := range modelJobs {
		row, found, err := r.Job(id)
		if err != nil {
			m.rt.Fatal(err)
		}
		j := w.jobs[id]
		if same("there is "+id, found, j != nil); j == nil {
			continue
		}
		left, failed := w.deps(j)
		same("job "+id, []any{row.Seq, row.Status, row.Zone, row.Ready, row.DepsLeft, row.DepFailed, row.JoinedTo, row.Host, row.LeaseUntil,
			row.WakeAt, row.DueAt, row.Attempt, row.RetryCount, row.HoldsKey},
			[]any{j.seq, j.status, w.zone(j), j.ready, left, failed, j.joined, j.host, j.lease, j.wake, j.due, j.attempt, j.retries,
				w.keys[[2]string{j.source, j.key}] == id})
	}
	for _, source := range modelSources {
		for _, key := range modelKeys[1:] {
			row, _, err := r.KeyHolder(source, key)
			if err != nil {
				m.rt.Fatal(err)
			}
			same("key "+key, row.ID, w.keys[[2]string{source, key}])
		}
	}
	for _, limit := range []int{1, 3, 10} {
		rows, err := r.Claim(limit)
		ids("claim", rows, err, w.claim(limit))
	}
	for _, now := range []time.Time{epoch, epoch.Add(2 * time.Minute)} {
		rows, err := r.Due(now, 10)
		ids("due", rows, err, w.due(now))
	}
	waiting := []string{}
	for _, bucket := range []string{"*", "x"} {
		for _, limit := range []int{1, 2, 10} {
			rows, err := r.Throttled(bucket, limit)
			ids("throttled", rows, err, w.throttled(bucket, limit))
		}
		if len(w.throttled(bucket, 1)) > 0 {
			waiting = append(waiting, bucket)
		}
	}
	buckets, err := r.ThrottledBuckets()
	if err != nil {
		m.rt.Fatal(err)
	}
	same("throttled buckets", buckets, waiting)
	rows, err := r.DepFailed(10)
	ids("dependency failed", rows, err, w.where(func(j *twinJob) bool { _, failed := w.deps(j); return failed != "" && w.waiting(j) }))
	rows, err = r.Inbox(10)
	ids("inbox", rows, err, w.where(func(j *twinJob) bool { return w.zone(j) == "inbox" }))
	rows, err = r.Awaiting("", -1, 10)
	ids("awaiting", rows, err, w.where(func(j *twinJob) bool { return j.status == job.StatusQuarantined }))
	rows, err = r.Joined("a", 10)
	ids("joined", rows, err, w.where(func(j *twinJob) bool {
		return j.joined == "a" && (j.status == job.StatusPending || j.status == job.StatusThrottled)
	}))
	rows, err = r.NextInLane(10)
	ids("next in lane", rows, err, w.nextInLane())
	for _, source := range modelSources {
		taken, err := r.LaneTaken(source, "l")
		if err != nil {
			m.rt.Fatal(err)
		}
		holding, waiting := w.lane(source, "l")
		same("lane taken", taken, holding+len(waiting) > 0)
	}
	for _, bucket := range []string{"x", "*"} {
		l, err := r.RateWindow(bucket)
		if err != nil {
			m.rt.Fatal(err)
		}
		same("rate", []any{l.Count, l.Window, l.Concurrent}, []any{w.rates[bucket].count, parse(w.rates[bucket].window), w.concurrent(bucket)})
		for _, now := range []time.Time{epoch.Add(2 * time.Minute), epoch.Add(3 * time.Hour)} {
			used, err := r.RetriesUsed(bucket, now)
			if err != nil {
				m.rt.Fatal(err)
			}
			same("retries used", used, w.retriesUsed(bucket, now))
		}
	}
	m.compareCounts(r, same)
}

func (m *model) compareCounts(r *Reader, same func(string, any, any)) {
	counts, err := r.Counts()
	if err != nil {
		m.rt.Fatal(err)
	}
	got := map[string]int{}
	for _, c := range counts {
		for status, n := range c.Status {
			got[c.Source+" "+string(status)] += n
		}
		got[c.Source+" inbox"] += c.Inbox
		got[c.Source+" ready"] += c.Ready
		got[c.Source+" in flight"] += c.InFlight
	}
	want := map[string]int{}
	for key := range got {
		want[key] = 0
	}
	for _, j := range m.twin.jobs {
		want[j.source+" "+string(j.status)]++
		for key, is := range map[string]bool{" inbox": m.twin.zone(j) == "inbox", " ready": j.ready,
			" in flight": j.host != "" || j.status == job.StatusRunning} {
			if is {
				want[j.source+key]++
			}
		}
	}
	same("counts", got, want)
}
