package index

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/pipeline/job"
)

// The SQL cannot import the Go lists; this compares them.
func TestSchemaRestatesTheLifeCycle(t *testing.T) {
	check := regexp.MustCompile(`status\s+TEXT NOT NULL CHECK \(status IN \(([^)]*)\)\)`).FindStringSubmatch(schemaSQL)
	if check == nil {
		t.Fatal("jobs.status has no CHECK")
	}
	var names []string
	for _, s := range job.Statuses {
		names = append(names, "'"+string(s)+"'")
	}
	if want := strings.Join(names, ", "); check[1] != want {
		t.Errorf("CHECK of jobs.status has %s, want %s", check[1], want)
	}
	if !slices.Equal(statusColumns[:], job.Statuses) {
		t.Errorf("counts has %v, want %v", statusColumns, job.Statuses)
	}
}

// The CHECK of jobs.zone is tried with every combination rather than read.
func TestSchemaChecksZones(t *testing.T) {
	f := newFixture(t)
	f.propose("a", nil)
	zones := []string{"inbox", "approved", "blocked", "outbox", "elsewhere"}
	for _, status := range job.Statuses {
		for _, zone := range zones {
			c, err := f.db.take()
			if err != nil {
				t.Fatal(err)
			}
			err = c.run("UPDATE jobs SET status = ?, zone = ?, ready = 0, host = ''", string(status), zone)
			f.db.give(c)
			want := zone == status.Zone() || zone == zoneInbox && status.Zone() == zoneApproved
			if (err == nil) != want {
				t.Errorf("%s in zone %s: %v, want allowed %t", status, zone, err, want)
			}
		}
	}
}

func TestRowHasAllColumns(t *testing.T) {
	f := newFixture(t)
	known := map[string][]string{}
	for _, table := range tables {
		known[table.name] = strings.Split(table.columns, ", ")
	}
	known["hosts"] = append(known["hosts"], "last_heartbeat") // not an event
	known["position"] = append(known["position"], "one")
	known["sqlite_stat1"], known["sqlite_stat4"] = nil, nil
	f.read(func(r *Reader) {
		var names []string
		err := r.c.each("SELECT name FROM sqlite_schema WHERE type = 'table'", func(s *stmt) error {
			names = append(names, s.ColumnText(0))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			var columns []string
			err := r.c.each("SELECT name FROM pragma_table_info(?)", func(s *stmt) error {
				columns = append(columns, s.ColumnText(0))
				return nil
			}, name)
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(columns)
			want := slices.Clone(known[name])
			slices.Sort(want)
			if !slices.Equal(columns, want) {
				t.Errorf("table %s has %v, and the dump has %v", name, columns, want)
			}
		}
		if len(names) != len(tables) {
			t.Errorf("the schema has the tables %v, and the dump has %d", names, len(tables))
		}
	})
	// The order of the columns is that in which they are visited; a dump is read by people.
	last := -1
	for _, column := range rowColumns {
		at := regexp.MustCompile(`(?m)^  ` + column + ` `).FindStringIndex(schemaSQL)
		if at == nil || at[0] < last {
			t.Errorf("column %s is missing in schema.sql or in another place", column)
			continue
		}
		last = at[0]
	}
}

// Every event about jobs is applied somewhere, in every state from which the table allows it.
func TestEveryTransitionApplies(t *testing.T) {
	n := 0
	for _, transition := range job.Transitions {
		for _, from := range transition.From {
			n++
			t.Run(fmt.Sprintf("%s/%s", transition.Event, from), func(t *testing.T) {
				f := newFixture(t)
				if from != "" {
					f.bring("a", from)
				}
				if transition.Event == job.ProposalReceived {
					f.propose("a", nil)
				} else {
					f.event(transition.Event, "a", map[string]any(usualMeta(transition.Event)))
				}
				want, _ := job.Next(transition.Event, from)
				if got := f.job("a").Status; got != want {
					t.Errorf("the job is %s, want %s", got, want)
				}
			})
		}
	}
	if n < len(job.Transitions) {
		t.Errorf("only %d transitions", n)
	}
	// What the table does not allow is refused.
	for _, transition := range job.Transitions {
		for _, from := range append([]job.Status{""}, job.Statuses...) {
			if slices.Contains(transition.From, from) {
				continue
			}
			f := newFixture(t)
			if from != "" {
				f.bring("a", from)
			}
			wantTransitionError(t, f.refuse(transition.Event, "a", map[string]any(usualMeta(transition.Event))))
		}
	}
}

// bring makes a job in a state.
func (f *fixture) bring(id string, status job.Status) {
	f.propose(id, nil)
	switch status {
	case job.StatusThrottled:
		f.approve(id, false)
		f.event(job.JobThrottled, id, usualMeta(job.JobThrottled))
	case job.StatusRunning, job.StatusCompleted, job.StatusFailed:
		f.approve(id, true)
		f.dispatch(id, 1)
		f.start(id, 1)
		if status != job.StatusRunning {
			end := map[job.Status]job.EventName{job.StatusCompleted: job.JobCompleted, job.StatusFailed: job.JobFailed}[status]
			f.event(end, id, usualMeta(end))
		}
	case job.StatusQuarantined:
		f.event(job.JobBlocked, id, usualMeta(job.JobBlocked))
	case job.StatusCancelled:
		f.event(job.JobCancelled, id, usualMeta(job.JobCancelled))
	}
}

// usualMeta is a meta object that fits an event.
func usualMeta(name job.EventName) map[string]any {
	later := job.FormatTime(epoch.Add(60e9))
	switch name {
	case job.ProposalReceived:
		return map[string]any{"source": "agent", "bucket": "agent", "priority": 2}
	case job.GatesReported:
		return map[string]any{"rules": anyDigest, "verdict": "PASS", "next_action": "ALLOW"}
	case job.JobApproved:
		return map[string]any{"basis": "gates", "due_at": later, "ready": true}
	case job.JobBlocked:
		return map[string]any{"next_action": "QUARANTINE", "code": "X"}
	case job.JobRevised:
		return map[string]any{"revision": "b"}
	case job.JobPatched: // of the job a, whose intake is the first document
		return map[string]any{"source": "agent", "bucket": "agent", "key": "a", "priority": 1, "before": fmt.Sprintf("%064x", 1)}
	case job.JobDeduplicated:
		return map[string]any{"of": "b"}
	case job.JobThrottled:
		return map[string]any{"until": later}
	case job.JobDispatched, job.JobLeased:
		return map[string]any{"host": "local", "attempt": 1, "lease_until": later}
	case job.JobStarted:
		return map[string]any{"attempt": 1, "started_at": later}
	case job.JobRetryScheduled:
		return map[string]any{"retry": 1, "wake_at": later}
	case job.JobAttemptFailed, job.JobCompleted, job.JobFailed:
		return map[string]any{"attempt": 1, "exit_code": 1, "code": "EXIT", "error": "exit status 1"}
	case job.OutcomeUnknown, job.LeaseExpired:
		return map[string]any{"attempt": 1, "reason": "reboot"}
	default:
		return map[string]any{}
	}
}
