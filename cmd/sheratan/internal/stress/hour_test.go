package stress_test

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func (s *site) status(id string) string {
	s.t.Helper()
	return lines[jobLine](s.t, s.must("jobs", id, "--json"))[0].Status
}

func (s *site) running(id string) func() bool {
	return func() bool {
		code, out, _ := s.run("jobs", id, "--json") // there may be no such job yet
		return code == 0 && strings.Contains(out, `"status":"running"`)
	}
}

// TestHour: a job that takes an hour keeps nobody from gating, running and committing other jobs, and it can be cancelled.
func TestHour(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	s.must("submit", "--id", "hour", "--timeout", "1h", "--", "sleep", "3600")
	first := s.start("", "tick")
	s.until("running", 20*time.Second, s.running("hour"))

	// Two short ones through the other slot, one after the other.
	for _, id := range []string{"other-1", "other-2"} {
		s.must("submit", "--id", id, "--", "echo", id)
		for i := 0; s.status0(id) != "completed"; i++ {
			if i == 10 {
				t.Fatalf("%s: is %s after ten ticks", id, s.status0(id))
			}
			// Either tick may have taken it in; ours must end in any case.
			began := time.Now()
			s.must("tick")
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("a tick beside the long job took %v", took)
			}
		}
	}
	s.must("submit", "--id", "blocked", "--", "no-such-program")
	s.must("tick")
	s.until("committed", 10*time.Second, func() bool { return strings.Contains(s.gitLog(), "Job: other-2\n") })
	select {
	case <-first.done:
		t.Fatal("the first tick has ended")
	default:
	}
	if n := len(s.jobProcesses()); n != 1 {
		t.Errorf("%d processes of jobs, want that of the long one", n)
	}

	s.must("cancel", "hour")
	if took := s.until("cancelled", 10*time.Second, func() bool { return len(s.jobProcesses()) == 0 }); took > promptly {
		t.Errorf("cancel took %v", took)
	}
	if code := first.wait(); code != 0 {
		t.Errorf("the first tick: exit %d: %s", code, first.err.String())
	}
	s.quiet()
	e := expectation{jobs: map[string]want{"other-1": {}, "other-2": {}, "blocked": {fate: blocked}}, alive: true}
	for _, complaint := range s.inspect(e) {
		t.Error(complaint)
	}
	if got := s.status("hour"); got != "cancelled" {
		t.Errorf("the long job is %s", got)
	}
}

// status0 is the status of a job that there may not be.
func (s *site) status0(id string) string {
	code, out, _ := s.run("jobs", id, "--json")
	if code != 0 {
		return ""
	}
	return lines[jobLine](s.t, out)[0].Status
}

// TestPauseKill: pause --kill ends what runs and begins nothing, resume begins it again.
func TestPauseKill(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	loop := s.start("", "tick", "--loop", "--interval", "50ms")
	s.must("submit", "--id", "long", "--", "sleep", "3600")
	s.until("running", 20*time.Second, s.running("long"))
	s.must("submit", "--id", "next", "--", "true")
	s.must("pause", "--kill", "--reason", "a test")
	if took := s.until("ended", 10*time.Second, func() bool { return len(s.jobProcesses()) == 0 }); took > promptly {
		t.Errorf("pause --kill took %v", took)
	}
	s.until("pending", 10*time.Second, func() bool { return s.status("long") == "pending" })
	time.Sleep(500 * time.Millisecond)
	if a, b := s.status("long"), s.status("next"); a != "pending" || b != "pending" {
		t.Errorf("while paused: %s and %s", a, b)
	}
	s.must("cancel", "long")
	s.must("resume")
	s.until("completed", 20*time.Second, func() bool { return s.status("next") == "completed" })
	loop.Process.Signal(syscall.SIGTERM)
	if code := loop.wait(); code != 0 {
		t.Errorf("loop: exit %d: %s", code, loop.err.String())
	}
	for _, complaint := range s.inspect(expectation{jobs: map[string]want{"next": {}}, alive: true}) {
		t.Error(complaint)
	}
}

// TestDrain: SIGTERM lets what runs finish, gives back what was leased and not begun, and ends the loop with 0; meanwhile what
// runs can be cancelled. There is one loop only.
func TestDrain(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	loop := s.start("", "tick", "--loop", "--interval", "50ms", "--grace", "1h")
	s.must("submit", "--id", "short", "--", "sleep", "2")
	s.must("submit", "--id", "endless", "--", "sleep", "3600")
	s.until("running", 20*time.Second, func() bool { return s.running("short")() && s.running("endless")() })
	if code, _, stderr := s.run("tick", "--loop"); code != 11 {
		t.Errorf("a second loop: exit %d: %s", code, stderr)
	}
	s.must("submit", "--id", "late", "--", "true")
	loop.Process.Signal(syscall.SIGTERM)
	s.until("completed", 20*time.Second, func() bool { return s.status("short") == "completed" })
	select {
	case <-loop.done:
		t.Fatalf("the loop did not wait for what runs: %s", loop.err.String())
	default:
	}
	s.must("cancel", "endless")
	began := time.Now()
	if code := loop.wait(); code != 0 {
		t.Errorf("loop: exit %d: %s", code, loop.err.String())
	}
	if took := time.Since(began); took > promptly {
		t.Errorf("cancelling while draining took %v", took)
	}
	s.quiet()
	for _, complaint := range s.inspect(expectation{jobs: map[string]want{"short": {}, "late": {}}, alive: true}) {
		t.Error(complaint)
	}
}

// TestReturnLeases: a runner that has leased ahead begins nothing more when there is a pause, and gives back what it has not
// begun when it is told to end.
func TestReturnLeases(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	m := &mix{s: s, want: map[string]want{}}
	_, text := m.batch(600, false)
	p := s.start(text, "submit", "-", "--json")
	if p.wait() != 0 {
		t.Fatal(p.err.String())
	}
	loop := s.start("", "tick", "--loop", "--interval", "50ms")
	s.until("at work", 20*time.Second, func() bool { return len(s.marked()) > 20 })
	s.must("pause", "--reason", "a test")
	paused := -1
	s.until("at rest", 5*promptly, func() bool { // what runs may finish, and the runner may be busy writing results
		before := paused
		time.Sleep(500 * time.Millisecond)
		paused = len(s.marked())
		return paused == before
	})
	time.Sleep(time.Second)
	if now := len(s.marked()); now > paused {
		t.Errorf("%d jobs were begun long after the pause", now-paused)
	}
	if paused > 300 {
		t.Logf("the pause came too late to show anything: %d of 600 jobs had left marks", paused)
	}
	s.must("resume")
	s.until("at work again", 20*time.Second, func() bool { return len(s.marked()) > paused })
	loop.Process.Signal(syscall.SIGTERM)
	if code := loop.wait(); code != 0 {
		t.Errorf("loop: exit %d: %s", code, loop.err.String())
	}
	if out := s.must("jobs", "--json"); strings.Contains(out, `"lease_until":"2`) || strings.Contains(out, `"status":"running"`) {
		t.Error("leases are left after the drain")
	}
	s.quiet()
	for _, complaint := range s.inspect(expectation{jobs: m.known(), alive: true}) {
		t.Error(complaint)
	}
}

// TestInterrupt: SIGINT ends the jobs as well, and the exit code says so. They run again afterwards.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	loop := s.start("", "tick", "--loop", "--interval", "50ms")
	s.must("submit", "--id", "long", "--", "sleep", "3600")
	s.until("running", 20*time.Second, s.running("long"))
	began := time.Now()
	loop.Process.Signal(os.Interrupt)
	if code := loop.wait(); code != 130 {
		t.Errorf("loop: exit %d: %s", code, loop.err.String())
	}
	if took := time.Since(began); took > 2*promptly {
		t.Errorf("SIGINT took %v", took)
	}
	if pids := s.jobProcesses(); len(pids) > 0 {
		t.Errorf("processes are left: %v", pids)
	}
	if got := s.status("long"); got != "pending" {
		t.Errorf("long is %s", got)
	}
	s.must("cancel", "long")
	s.quiet()
	for _, complaint := range s.inspect(expectation{alive: true}) {
		t.Error(complaint)
	}
}

// TestDeserted: a loop takes up what another process left when it was killed.
func TestDeserted(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2)
	s.must("submit", "--id", "left", "--", "sleep", "1")
	other := s.start("", "tick")
	s.until("running", 20*time.Second, s.running("left"))
	loop := s.start("", "tick", "--loop", "--interval", "50ms")
	time.Sleep(300 * time.Millisecond) // so that it has recovered what there was when it came
	other.kill()
	s.until("completed", 20*time.Second, func() bool { return s.status("left") == "completed" })
	loop.Process.Signal(syscall.SIGTERM)
	if code := loop.wait(); code != 0 {
		t.Errorf("loop: exit %d: %s", code, loop.err.String())
	}
	for _, complaint := range s.inspect(expectation{jobs: map[string]want{"left": {}}}) {
		t.Error(complaint)
	}
}
