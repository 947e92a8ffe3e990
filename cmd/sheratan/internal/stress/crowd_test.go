package stress_test

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestCrowd lets ten processes submit, gate and tick one workspace at once, while the index is deleted under them again and
// again, with and without its log and shared memory. None of them is killed, so that every job has to be done, and once.
func TestCrowd(t *testing.T) {
	t.Parallel()
	span := 6 * time.Second
	if long {
		span = time.Minute
	}
	s := newSite(t, 4)
	c := &crowd{site: s, mix: mix{s: s, want: map[string]want{}}, until: time.Now().Add(span)}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(c.submit)
	}
	for range 2 {
		wg.Go(func() { c.repeat(true, "gate", "--json") })
	}
	for i := range 4 {
		args := []string{"tick", "--json"}
		if i == 0 {
			args = append(args, "--no-commit")
		}
		wg.Go(func() { c.repeat(false, args...) })
	}
	deleted := 0
	wg.Go(func() {
		for i := 0; time.Now().Before(c.until); i++ {
			deleted += c.deleteIndex(i)
			time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
		}
	})
	wg.Wait()
	s.quiet()
	for _, complaint := range s.inspect(expectation{jobs: c.known(), alive: true}) {
		t.Error(complaint)
	}
	t.Logf("%d jobs, %d commands, index deleted %d times", c.n, c.commands, deleted)
	if deleted == 0 || c.commands < 20 {
		t.Error("nothing was put to the test")
	}
}

type crowd struct {
	*site
	mix
	until time.Time

	mu       sync.Mutex // guards mix and commands
	commands int
}

// submit hands in batches of twenty until the time is over.
func (c *crowd) submit() {
	for time.Now().Before(c.until) {
		c.mu.Lock()
		_, text := c.batch(20, false)
		c.mu.Unlock()
		p := c.start(text, "submit", "-", "--source", "agent", "--json")
		if code := p.wait(); code != 0 || strings.Count(p.out.String(), "\n") != 20 {
			c.t.Errorf("submit: exit %d: %s%s", code, p.out.String(), p.err.String())
		}
		c.count()
		time.Sleep(100 * time.Millisecond)
	}
}

// repeat runs a command until the time is over.
func (c *crowd) repeat(mayBlock bool, args ...string) {
	for time.Now().Before(c.until) {
		p := c.start("", args...)
		if code := p.wait(); code != 0 && (!mayBlock || code != 3) {
			c.t.Errorf("%v: exit %d: %s", args, code, p.err.String())
		}
		c.count()
	}
}

func (c *crowd) count() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.commands++
}

// deleteIndex takes the index away, in one of four ways, and returns how many there were.
func (c *crowd) deleteIndex(how int) int {
	extensions := [][]string{{""}, {"", "-wal", "-shm"}, {"-wal", "", "-shm"}, {"", "-shm"}}[how%4]
	n := 0
	for _, ext := range extensions {
		err := os.Remove(c.path(".sheratan", "index.db"+ext))
		if err == nil && ext == "" {
			n++
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			c.t.Error(err)
		}
	}
	return n
}
