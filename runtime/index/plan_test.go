package index

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// askEverything calls each question of the package, so that its statements are prepared on the connection of r.
func askEverything(t *testing.T, r *Reader) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	one := func(_ Row, _ bool, err error) { t.Helper(); check(err) }
	many := func(_ []Row, err error) { t.Helper(); check(err) }
	number := func(_ int, err error) { t.Helper(); check(err) }

	one(r.Job("a"))
	one(r.KeyHolder("agent", "k"))
	_, err := r.Exists("a")
	check(err)
	_, err = r.DependsOn("c")
	check(err)
	number(r.CountDependents("c"))
	_, _, err = r.Cycle("a", "c", []string{"c"}, 10)
	check(err)
	_, _, err = r.Cycle("a", "", []string{"b"}, 10)
	check(err)
	many(r.Dependents("a", 10))
	many(r.Claim(2 * claimPage))
	many(r.ClaimIDs([]string{"a"}))
	many(r.Due(epoch, 10))
	many(r.DepFailed(10))
	many(r.Throttled("full", 2*claimPage))
	_, err = r.ThrottledBuckets()
	check(err)
	many(r.Joined("a", 10))
	many(r.Leased("local"))
	many(r.Leased(""))
	many(r.ExpiredLeases(epoch))
	many(r.Inbox(10))
	many(r.Awaiting("", -1, 10))
	many(r.Awaiting("QUARANTINE", -1, 10))
	many(r.ByToken("token"))
	number(r.Children("a"))
	number(r.MissionJobs("m"))
	many(r.StoppedJobs(10))
	_, err = r.Missions(10)
	check(err)
	_, _, err = r.Mission("m")
	check(err)
	_, _, _, _, err = r.TaskOf("a")
	check(err)
	_, _, err = r.NextWake()
	check(err)
	_, err = r.Counts()
	check(err)
	_, err = r.CountsOf("agent")
	check(err)
	_, err = r.Hosts()
	check(err)
	_, err = r.Paused()
	check(err)
	_, err = r.Limits()
	check(err)
	_, err = r.LastLine("token")
	check(err)
	_, err = r.JobsOfEvents(0, 5)
	check(err)
	_, _, err = r.Event(1)
	check(err)
	_, err = r.Waking(epoch)
	check(err)
	after := int64(0)
	for _, f := range []JobFilter{{Status: []job.Status{job.StatusPending, job.StatusRunning}, Limit: 1}, {Source: "agent", Limit: 1},
		{Mission: "m"}, {Member: "m", Status: []job.Status{job.StatusFailed}, After: &after, Limit: 1}, {Trace: "t"}, {Since: epoch, Newest: true, Limit: 1}, {Status: []job.Status{job.StatusFailed}, Since: epoch},
		{Newest: true, After: &after, Limit: 1}, {After: &after, Limit: 1}} {
		many(r.List(f))
	}
	for _, f := range []EventFilter{{Job: "a"}, {Trace: "t", Reverse: true}, {Since: epoch, Until: epoch, Limit: 1}, {From: 1, To: 2},
		{Event: string(job.ConfigLoaded), Reverse: true, Limit: 1}} {
		check(r.Events(f, func(ledger.Event) error { return nil }))
	}
}

// No question and no event may look at all jobs or all events.
func TestNothingScans(t *testing.T) {
	f := newFixture(t)
	f.configure(map[string][2]int{"*": {0, 0}})
	for i := range 2*claimPage + 1 {
		id := "queued-" + string(rune('a'+i%26)) + string(rune('a'+i/26))
		f.write(func(tx *Tx) {
			f.apply(tx, job.ProposalReceived, id, received("agent"))
			f.apply(tx, job.JobApproved, id, approved(epoch, true))
		})
	}
	f.propose("a", func(m *ledger.Received) { m.Key = "k" })
	f.propose("c", nil, "a")
	f.approve("a", true)
	f.run("a")
	for i := range claimPage + 1 {
		id := "throttled-" + strconv.Itoa(i)
		f.propose(id, func(m *ledger.Received) { m.Bucket = "full" })
		f.approve(id, false)
		f.event(job.JobThrottled, id, usualMeta(job.JobThrottled))
	}
	seen := 0
	f.write(func(tx *Tx) {
		askEverything(t, tx.Reader)
		f.settleOne(tx)
		if err := tx.Flush(); err != nil {
			t.Fatal(err)
		}
		for _, sql := range statements(tx.c) {
			seen++
			checkPlan(t, tx.c, sql)
		}
	})
	if seen < 50 {
		t.Errorf("only %d statements were looked at", seen)
	}
}

// settleOne gives tx a job that depends on others, and ends one, so that these statements are prepared as well.
func (f *fixture) settleOne(tx *Tx) {
	m := received("agent")
	m.DependsOn = 1
	f.apply(tx, job.ProposalReceived, "d", m, intakeOf([]string{"e"}))
	f.apply(tx, job.ProposalReceived, "e", received("agent"))
	f.apply(tx, job.JobApproved, "e", approved(epoch, true))
	f.apply(tx, job.JobDispatched, "e", leaseOf("local", 1, epoch))
	f.apply(tx, job.JobCompleted, "e", ledger.Ended{})
	f.apply(tx, job.ProposalReceived, "g", received("agent"))
	f.apply(tx, job.JobBlocked, "g", ledger.Blocked{})
	f.apply(tx, job.ProposalReceived, "h", m, intakeOf([]string{"g"}))
	f.apply(tx, job.JobRevised, "g", ledger.Revised{Revision: "i"})
}

// TestNothingScansWithoutQuestions applies events to an index that has none of the indexes for questions.
func TestNothingScansWithoutQuestions(t *testing.T) {
	f := newFixture(t)
	if err := f.db.dropQuestions(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.configure(map[string][2]int{"*": {0, 0}})
	f.propose("a", func(m *ledger.Received) { m.Key, m.ConcurrencyKey = "k", "lane" })
	f.approve("a", true)
	f.propose("b", func(m *ledger.Received) { m.ConcurrencyKey = "lane" }, "a")
	f.approve("b", false)
	f.run("a")
	f.write(func(tx *Tx) {
		f.settleOne(tx)
		if err := tx.Flush(); err != nil {
			t.Fatal(err)
		}
		sqls := statements(tx.c)
		if len(sqls) < 15 {
			t.Errorf("only %d statements were looked at", len(sqls))
		}
		for _, sql := range sqls {
			checkPlan(t, tx.c, sql)
		}
	})
}

func statements(c *conn) (all []string) {
	for sql := range c.stmts {
		all = append(all, sql)
	}
	return all
}

var (
	scans = regexp.MustCompile(`\bSCAN (jobs|ledger_events|deps|keys|d|j)\b`)
	// These hold only what has to be done.
	small = regexp.MustCompile(`INDEX jobs_(wake|dep_failed|lease|inbox)\b`)
)

func checkPlan(t *testing.T, c *conn, sql string) {
	t.Helper()
	if strings.HasPrefix(sql, "EXPLAIN") || strings.HasPrefix(sql, "PRAGMA") {
		return
	}
	// In order, with a limit, and nothing to look for: it reads no more than it returns.
	ordered := sql == selectRows+" ORDER BY seq" || strings.Contains(sql, "max(seq)")
	var plan []string
	err := c.each("EXPLAIN QUERY PLAN "+sql, func(s *stmt) error {
		plan = append(plan, s.ColumnText(3))
		return nil
	})
	if err != nil {
		t.Errorf("%s: %v", sql, err)
	}
	for _, step := range plan {
		if scans.MatchString(step) && !ordered && !small.MatchString(step) {
			t.Errorf("%s\n  %s", sql, strings.Join(plan, "\n  "))
			return
		}
		if strings.Contains(step, "TEMP B-TREE") && strings.Contains(sql, "LIMIT") {
			t.Errorf("%s\n  sorts before it limits: %s", sql, strings.Join(plan, "\n  "))
			return
		}
	}
}

// The test above finds what it looks for.
func TestCheckPlanFindsScans(t *testing.T) {
	f := newFixture(t)
	c, err := f.db.take()
	if err != nil {
		t.Fatal(err)
	}
	defer f.db.give(c)
	for _, sql := range []string{"SELECT count(*) FROM jobs", selectRows + "WHERE host = 'h'",
		selectRows + "WHERE error = '' ORDER BY seq LIMIT 1",
		selectRows + "WHERE status = 'failed' ORDER BY error LIMIT 1"} {
		found := false
		for _, pattern := range []string{"SCAN jobs", "TEMP B-TREE"} {
			err := c.each("EXPLAIN QUERY PLAN "+sql, func(s *stmt) error {
				found = found || strings.Contains(s.ColumnText(3), pattern)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if !found {
			t.Errorf("%s: not found", sql)
		}
	}
}
