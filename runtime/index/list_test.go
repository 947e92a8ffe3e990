package index

import (
	"slices"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

func TestList(t *testing.T) {
	f := newFixture(t)
	for i, id := range []string{"a", "b", "c", "d", "e"} {
		f.h.now = epoch.Add(time.Duration(i) * time.Minute)
		f.propose(id, func(m *ledger.Received) {
			m.Source, m.Kind = "odd", "exec"
			if i%2 == 0 {
				m.Source, m.Kind, m.MissionID = "even", "noop", "moon"
			}
			m.ParentID, m.Token, m.Line = map[string]string{"d": "a", "e": "a"}[id], "t"+m.Source, 9-i
		})
	}
	f.approve("b", true)
	f.h.now = epoch.Add(time.Hour)
	f.event(job.JobCancelled, "a", ledger.Cancelled{Reason: "no"})
	f.event(job.JobBlocked, "c", ledger.Blocked{NextAction: "REQUIRE_LLM2"})
	seq := func(id string) *int64 { s := f.job(id).Seq; return &s }
	for name, c := range map[string]struct {
		filter JobFilter
		want   []string
	}{
		"all":            {JobFilter{}, []string{"a", "b", "c", "d", "e"}},
		"newest":         {JobFilter{Newest: true, Limit: 2}, []string{"e", "d"}},
		"after":          {JobFilter{After: seq("b"), Limit: 2}, []string{"c", "d"}},
		"newest after":   {JobFilter{After: seq("c"), Newest: true}, []string{"b", "a"}},
		"status":         {JobFilter{Status: []job.Status{job.StatusPending}}, []string{"b", "d", "e"}},
		"two statuses":   {JobFilter{Status: []job.Status{job.StatusQuarantined, job.StatusPending}, Limit: 3}, []string{"b", "c", "d"}},
		"newest of two":  {JobFilter{Status: []job.Status{job.StatusCancelled, job.StatusPending}, Newest: true, Limit: 3}, []string{"e", "d", "b"}},
		"status twice":   {JobFilter{Status: []job.Status{job.StatusCancelled, job.StatusCancelled}}, []string{"a"}},
		"zone":           {JobFilter{Zone: "inbox"}, []string{"d", "e"}},
		"source":         {JobFilter{Source: "even"}, []string{"a", "c", "e"}},
		"kind, source":   {JobFilter{Source: "even", Kind: "exec"}, []string{}},
		"mission":        {JobFilter{Mission: "moon"}, []string{"a", "c", "e"}},
		"trace":          {JobFilter{Trace: "d"}, []string{"d"}},
		"since":          {JobFilter{Since: epoch.Add(time.Hour)}, []string{"a", "c"}},
		"since, status":  {JobFilter{Since: epoch.Add(3 * time.Minute), Status: []job.Status{job.StatusPending}}, []string{"b", "d", "e"}},
		"until":          {JobFilter{Until: epoch.Add(2 * time.Minute)}, []string{}},
		"until now":      {JobFilter{Until: epoch.Add(2 * time.Hour), Source: "odd"}, []string{"b", "d"}},
		"since too late": {JobFilter{Since: epoch.Add(2 * time.Hour)}, []string{}},
	} {
		f.read(func(r *Reader) {
			rows, err := r.List(c.filter)
			if err != nil || !slices.Equal(idsOf(rows), c.want) {
				t.Errorf("%s: %v, %v; want %v", name, idsOf(rows), err, c.want)
			}
		})
	}
	f.read(func(r *Reader) {
		if rows, err := r.ByToken("teven"); err != nil || !slices.Equal(idsOf(rows), []string{"e", "c", "a"}) {
			t.Errorf("by token: %v, %v", idsOf(rows), err)
		}
		if n, err := r.Children("a"); err != nil || n != 2 {
			t.Errorf("children: %d, %v", n, err)
		}
		if n, err := r.MissionJobs("moon"); err != nil || n != 3 {
			t.Errorf("jobs of the mission: %d, %v", n, err)
		}
		if rows, err := r.Awaiting("REQUIRE_LLM2", -1, 10); err != nil || !slices.Equal(idsOf(rows), []string{"c"}) {
			t.Errorf("awaiting: %v, %v", idsOf(rows), err)
		}
		if rows, err := r.Awaiting("REQUIRE_LLM2", *seq("c"), 10); err != nil || len(rows) != 0 {
			t.Errorf("awaiting behind the last: %v, %v", idsOf(rows), err)
		}
		c, err := r.CountsOf("even")
		if err != nil || c.Queued() != 1 || c.Status[job.StatusCancelled] != 1 || c.Inbox != 1 || c.Ready != 0 {
			t.Errorf("counts: %+v, %v", c, err)
		}
	})
}

func TestEvents(t *testing.T) {
	f := newFixture(t)
	for i, id := range []string{"a", "b", "c"} {
		f.h.now = epoch.Add(time.Duration(i) * time.Minute)
		f.propose(id, nil)
		f.approve(id, true)
		f.event(job.Paused, "", ledger.PausedMeta{Source: id})
	}
	minute := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Minute) }
	for name, filter := range map[string]EventFilter{
		"all":      {},
		"job":      {Job: "b"},
		"nobody":   {Job: "nobody"},
		"event":    {Event: "JOB_APPROVED"},
		"actor":    {Actor: "uid:1000"},
		"nobody's": {Actor: "uid:0"},
		"trace":    {Trace: "c"},
		"no trace": {Trace: "d"},
		"since":    {Since: minute(1)},
		"until":    {Until: minute(1)},
		"between":  {Since: minute(1), Until: minute(2)},
		"odd time": {Since: minute(1).Add(time.Second), Until: minute(9)},
		"never":    {Since: minute(9)},
		"before":   {Until: epoch},
		"numbers":  {From: 2, To: 5},
		"all of":   {From: 1, To: 8, Since: minute(1), Event: "PAUSED"},
	} {
		for _, limit := range []int{0, 2} {
			for _, reverse := range []bool{false, true} {
				filter.Limit, filter.Reverse = limit, reverse
				var want, got []int64
				for _, ev := range f.h.events {
					at, _ := job.ParseTime(ev.Timestamp)
					if (filter.Job == "" || ev.JobID == filter.Job) && (filter.Event == "" || string(ev.Event) == filter.Event) &&
						(filter.Actor == "" || ev.Actor == filter.Actor) && (filter.Trace == "" || ev.TraceID == filter.Trace) &&
						(filter.Since.IsZero() || !at.Before(filter.Since)) && (filter.Until.IsZero() || at.Before(filter.Until)) &&
						ev.Seq >= filter.From && (filter.To == 0 || ev.Seq < filter.To) {
						want = append(want, ev.Seq)
					}
				}
				if reverse {
					slices.Reverse(want)
				}
				if limit > 0 && len(want) > limit {
					want = want[:limit]
				}
				f.read(func(r *Reader) {
					err := r.Events(filter, func(ev ledger.Event) error {
						got = append(got, ev.Seq)
						line, err := ev.AppendLine(nil)
						if err != nil {
							return err
						}
						wrote := f.h.events[ev.Seq]
						if original, err := wrote.AppendLine(nil); err != nil || string(line) != string(original) {
							t.Errorf("event %d came back as %s", ev.Seq, line)
						}
						return nil
					})
					if err != nil || !slices.Equal(got, want) {
						t.Errorf("%s, limit %d, reverse %t: %v, %v; want %v", name, limit, reverse, got, err, want)
					}
				})
			}
		}
	}
	f.read(func(r *Reader) {
		if ev, found, err := r.EventByID("event-4"); err != nil || !found || ev.Seq != 4 {
			t.Errorf("by id: %+v, %t, %v", ev, found, err)
		}
		if _, found, err := r.EventByID("no such"); err != nil || found {
			t.Errorf("by another id: %t, %v", found, err)
		}
	})
}
