package stress_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

// Jobs of a round, by the way they come in.
const (
	roundLines  = 200 // in one .jsonl file
	roundFiles  = 50  // each in a .json file that is copied into the inbox
	roundSubmit = 50  // in each submission
	submissions = 5
)

// TestKill kills ticks, submissions, gates and approvals at random moments, with 500 jobs more in each round. When they are
// allowed to finish, every job is in one place, nothing that was acknowledged is lost, and nothing that is not safe to run
// again ran twice.
func TestKill(t *testing.T) {
	t.Parallel()
	kills, each := 10, 5
	if long {
		kills, each = 100, 10
	}
	begin := seed(t)
	for round := range kills / each {
		k := &killer{site: newSite(t, 4), rand: rand.New(rand.NewPCG(begin, uint64(round))), span: 1500 * time.Millisecond,
			files: map[string]int{}}
		k.mix = mix{s: k.site, want: map[string]want{}}
		for range each {
			k.round()
		}
		k.quiet()
		for _, complaint := range k.inspect(expectation{jobs: k.mix.known(), files: k.files}) {
			t.Error(complaint)
		}
		t.Logf("%d jobs, %d of %d processes killed", k.mix.n, k.killed, k.started)
		if t.Failed() {
			return
		}
	}
}

// killer is a workspace in which nothing is left to end by itself.
type killer struct {
	*site
	mix
	rand  *rand.Rand
	span  time.Duration // in which the ticks are killed
	files map[string]int

	mu              sync.Mutex // guards rand and the counts
	killed, started int
}

// moment is a time between 0 and d.
func (k *killer) moment(d time.Duration) time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return time.Duration(k.rand.Int64N(int64(d)))
}

func (k *killer) round() {
	k.t.Helper()
	name := fmt.Sprintf("lines-%d.ready.jsonl", k.mix.n)
	if k.mix.n == 0 {
		name = "lines-0.jsonl" // has to settle first
	}
	_, text := k.mix.batch(roundLines, true)
	k.files[name] = roundLines
	k.put("agent/"+name, text)
	var wg sync.WaitGroup
	docs := make([]string, submissions)
	for i := range docs {
		_, docs[i] = k.mix.batch(roundSubmit, false)
	}
	singles := make(map[string]string, roundFiles)
	for range roundFiles {
		id, doc := k.mix.next(false)
		singles["copied-"+id+".json"] = doc
	}
	wg.Go(func() {
		for _, text := range docs {
			k.submit(text)
		}
	})
	wg.Go(func() {
		for name, text := range singles {
			k.put(name, text)
			time.Sleep(k.moment(10 * time.Millisecond))
		}
	})
	wg.Go(func() { k.lethal(200*time.Millisecond, "", "gate", "--json") })
	wg.Go(func() {
		time.Sleep(k.moment(300 * time.Millisecond))
		list := k.start("", "jobs", "--status", "quarantined", "--json")
		list.wait()
		var ids []string
		for _, j := range lines[jobLine](k.t, list.out.String()) {
			if !j.unknown() && k.mix.want[j.ID].fate == manual {
				ids = append(ids, j.ID)
			}
		}
		if len(ids) > 0 {
			k.lethal(300*time.Millisecond, "", append([]string{"approve", "--reason", "a test"}, ids...)...)
		}
	})
	// The tick that this is about; where it is done too early, others follow.
	deadline := time.Now().Add(k.moment(k.span))
	for time.Now().Before(deadline) {
		p := k.start("", "tick", "--json")
		k.count(false)
		select {
		case <-p.done:
			p.wait()
		case <-time.After(time.Until(deadline)):
			p.kill()
			k.count(true)
		}
	}
	wg.Wait()
}

func (k *killer) count(killed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if killed {
		k.killed++
	} else {
		k.started++
	}
}

// lethal runs a command and kills it within a time, if it has not ended by then. It reports whether it has, with exit 0.
func (k *killer) lethal(within time.Duration, stdin string, args ...string) (*process, bool) {
	p := k.start(stdin, args...)
	k.count(false)
	select {
	case <-p.done:
	case <-time.After(k.moment(within)):
		k.count(true)
		p.kill()
	}
	return p, p.wait() == 0
}

// submit hands proposals in, again and again until that is acknowledged, as a client does whose first try was interrupted.
func (k *killer) submit(text string) {
	for range 20 {
		if p, ok := k.lethal(60*time.Millisecond, text, "submit", "-", "--source", "agent", "--json"); ok {
			if n := strings.Count(p.out.String(), "\n"); n != roundSubmit {
				k.t.Errorf("submit acknowledged %d of %d proposals", n, roundSubmit)
			}
			return
		}
	}
	p := k.start(text, "submit", "-", "--source", "agent", "--json")
	if code := p.wait(); code != 0 {
		k.t.Errorf("submit: exit %d: %s", code, p.err.String())
	}
}
