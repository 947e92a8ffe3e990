package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sheratan/sheratan/runtime/ledger"
)

// TestHistories lets a workspace live through random histories: proposals of two sources with priorities, dependencies in
// any order, keys, concurrency keys and retries; ticks, waits, cancellations, retries, pauses; runners that die before and after
// they began, and an index that is lost or old. What the ledger says afterwards is judged by a reader that is as simple
// as can be (histories_judge_test.go), and in the end nothing may be left that could still go on.
//
// SHERATAN_SEED repeats a history.
func TestHistories(t *testing.T) {
	histories := 40
	if os.Getenv("SHERATAN_LONG") != "" {
		histories = 3000
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("SHERATAN_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed, histories = n, 1
	}
	for i := range histories {
		t.Run("", func(t *testing.T) {
			h := &life{world: newWorld(t), rand: rand.New(rand.NewPCG(seed+uint64(i), 0)), specs: map[string]spec{}}
			h.with(`"*": {"max_jobs_per_minute": 10, "max_concurrent_jobs": 5, "max_priority": "high"}`,
				fmt.Sprintf(`"*": {"max_jobs_per_minute": %d, "max_concurrent_jobs": %d, "max_priority": "high"}`, agentRate, agentConcurrent))
			for range 12 + h.rand.IntN(20) {
				h.step()
			}
			h.quiesce()
			h.judge()
			h.verify()
			if t.Failed() {
				t.Logf("SHERATAN_SEED=%d\n%s", seed+uint64(i), strings.Join(h.told, "\n"))
			}
		})
	}
}

// What the source agent may do in these histories.
const (
	agentRate       = 3
	agentConcurrent = 2
)

type life struct {
	*world
	rand  *rand.Rand
	specs map[string]spec
	ids   []string
	told  []string
}

// spec is what a job was proposed as.
type spec struct {
	source, program string
	class, retries  int
	deps            []string
	key, lane       string
}

func (h *life) tell(format string, args ...any) {
	h.told = append(h.told, fmt.Sprintf(format, args...))
}

func (h *life) step() {
	switch n := h.rand.IntN(20); {
	case n < 9:
		h.submit()
	case n < 13:
		h.tell("tick")
		h.tick()
	case n < 15:
		d := []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, time.Minute}[h.rand.IntN(4)]
		h.tell("forward %s", d)
		h.forward(d)
	case n == 15:
		h.named("cancel", func(s Selection) error { return h.p.Cancel(context.Background(), s, "", ignoreJob) })
	case n == 16:
		h.named("retry", func(s Selection) error { return h.p.Retry(context.Background(), s, ignoreJob) })
	case n == 17:
		h.pause()
	case n == 18:
		h.die()
	default:
		h.loseIndex()
	}
}

func (h *life) submit() {
	n := len(h.ids)
	s := spec{source: []string{"operator", "agent"}[h.rand.IntN(2)], class: 1, retries: h.rand.IntN(3)}
	s.program = []string{"true", "true", "false", "echo"}[h.rand.IntN(4)]
	id := func(n int) string { return fmt.Sprintf("%s-%d", s.source, n) }
	for range h.rand.IntN(3) {
		if dep := id(h.rand.IntN(n + 3)); dep != id(n) && !slices.Contains(s.deps, dep) {
			s.deps = append(s.deps, dep)
		}
	}
	priority := 1 + h.rand.IntN(3)
	if s.source == "operator" && h.rand.IntN(4) == 0 {
		priority, s.class = 0, 0
	}
	more := fmt.Sprintf(`"priority": %d, "max_retries": %d,`, priority, s.retries)
	if s.deps != nil {
		more += fmt.Sprintf(`"depends_on": ["%s"],`, strings.Join(s.deps, `", "`))
	}
	if h.rand.IntN(4) == 0 {
		s.key = "key-" + s.program // so that what has the same key is the same
		more += fmt.Sprintf(`"idempotency_key": %q,`, s.key)
	}
	if h.rand.IntN(3) == 0 {
		s.lane = []string{"left", "right"}[h.rand.IntN(2)]
		more += fmt.Sprintf(`"concurrency_key": %q,`, s.lane)
	}
	h.ids = append(h.ids, id(n))
	h.specs[id(n)] = s
	line := h.proposeAs(s.source, exec(id(n), more, s.program))
	h.tell("submit %s %+v: %s", id(n), s, line.Status)
}

// named does something to a random job. That it does not fit the job is no failure.
func (h *life) named(what string, do func(Selection) error) {
	if len(h.ids) == 0 {
		return
	}
	id := h.ids[h.rand.IntN(len(h.ids))]
	err := do(Selection{IDs: []string{id}})
	h.tell("%s %s: %v", what, id, err)
	var unfit *StateError
	if err != nil && !errors.As(err, &unfit) {
		h.t.Errorf("%s %s: %v", what, id, err)
	}
}

func (h *life) pause() {
	source := []string{"operator", "agent", ""}[h.rand.IntN(3)]
	h.tell("pause %q", source)
	h.check(h.p.Pause(context.Background(), source, "a test", false))
	if h.rand.IntN(2) == 0 {
		h.submit()
		h.tick()
		h.resume()
	}
}

func (h *life) resume() {
	h.tell("resume")
	for _, source := range []string{"operator", "agent", ""} {
		_ = h.p.Resume(context.Background(), source) // where it is paused
	}
}

// die leases a job to a process that is dead, which may have begun it.
func (h *life) die() {
	var rows []indexRow
	h.check(h.p.transact(context.Background(), func(b *batch) (err error) {
		rows, err = b.tx.Claim(4)
		return err
	}))
	if len(rows) == 0 {
		return
	}
	row, begun := rows[0], h.rand.IntN(2) == 0
	a := h.leaseAs(row.ID, ledger.Runner{Boot: h.p.runner.Boot, PID: 1 << 22, Start: 1})
	if begun {
		h.mark(row.ID, a.number)
	}
	h.tell("the runner of %s dies, begun: %v", row.ID, begun)
}

// loseIndex takes the database away, or lets it fall behind the ledger, as a crash between the two does.
func (h *life) loseIndex() {
	if h.p.db == nil {
		return // nobody has needed it yet
	}
	path := h.ws.IndexDB()
	old := map[string][]byte{}
	behind := h.rand.IntN(2) == 0
	h.tell("index lost, behind: %v", behind)
	h.check(h.p.db.Checkpoint())
	if behind {
		for _, end := range []string{"", "-wal"} {
			text, err := os.ReadFile(path + end)
			h.check(err)
			old[end] = text
		}
		h.submit()
		h.tick()
	}
	warned := len(h.warned)
	h.check(h.p.Close(context.Background()))
	for _, end := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(path + end)
		if text, ok := old[end]; ok {
			h.check(os.WriteFile(path+end, text, 0o600))
		}
	}
	h.reopen()
	h.tick()
	h.warned = h.warned[:warned] // that the index was missing is said, as it should be
}

func (h *life) reopen() { h.p = h.open() }

// quiesce gives everything the time that it needs.
func (h *life) quiesce() {
	h.resume()
	for range 60 {
		h.tick()
		h.forward(time.Minute)
	}
}
