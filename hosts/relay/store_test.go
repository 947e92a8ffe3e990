package relay_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sheratan/sheratan/hosts/relay"
)

// TestBreaker lets a model fail until it is left alone, by a relay of its own for each call, as processes do.
func TestBreaker(t *testing.T) {
	t.Parallel()
	s := serve(t, text(400, "no"))
	state := filepath.Join(t.TempDir(), "relay.json")
	c := newClock()
	call := func() error {
		_, err := ask(newRelay(t, relay.Options{State: state, Now: c.now}, map[string]relay.Model{"m": model(s.URL)}), "m")
		return err
	}
	for range 5 {
		wantKind(t, call(), relay.Status)
		c.at = c.at.Add(time.Minute)
	}
	wantKind(t, call(), relay.Circuit)
	c.at = c.at.Add(28 * time.Minute)
	wantKind(t, call(), relay.Circuit)
	if n := s.asked(); n != 5 {
		t.Fatalf("asked %d times", n)
	}
	c.at = c.at.Add(2 * time.Minute) // the trial
	wantKind(t, call(), relay.Status)
	wantKind(t, call(), relay.Circuit)
	c.at = c.at.Add(31 * time.Minute)
	s.mu.Lock()
	s.turns = append(s.turns[:0], text(200, openAIHello))
	s.mu.Unlock()
	for range 3 {
		if err := call(); err != nil {
			t.Fatal(err)
		}
	}
	// The negative control: as many failures, but further apart, never open it.
	s.mu.Lock()
	s.turns = append(s.turns[:0], text(400, "no"))
	s.mu.Unlock()
	for range 12 {
		wantKind(t, call(), relay.Status)
		c.at = c.at.Add(3 * time.Minute)
	}
}

// TestBreakerBetweenSuccesses: failures count within their ten minutes, also where calls succeeded in between.
func TestBreakerBetweenSuccesses(t *testing.T) {
	t.Parallel()
	bad, good := text(400, "no"), text(200, openAIHello)
	s := serve(t, bad, good, bad, good, bad, good, bad, good, bad, good)
	c := newClock()
	r := newRelay(t, relay.Options{Now: c.now}, map[string]relay.Model{"m": model(s.URL)})
	for i := range 9 {
		if _, err := ask(r, "m"); (err == nil) != (i%2 == 1) {
			t.Fatalf("call %d: %v", i, err)
		}
		c.at = c.at.Add(time.Minute)
	}
	_, err := ask(r, "m")
	wantKind(t, err, relay.Circuit)
}

// TestNoKeyCostsNothing: where there is no key nobody is asked, and neither the budget nor the breaker counts it.
func TestNoKeyCostsNothing(t *testing.T) {
	t.Parallel()
	s := serve(t, text(200, openAIHello))
	m := model(s.URL)
	m.KeyEnv, m.CallsPerHour = "KEY", 1
	state := filepath.Join(t.TempDir(), "relay.json")
	for range 6 {
		_, err := ask(newRelay(t, relay.Options{State: state}, map[string]relay.Model{"m": m}), "m")
		wantKind(t, err, relay.Key)
	}
	r := newRelay(t, relay.Options{State: state, Getenv: func(string) string { return "key" }}, map[string]relay.Model{"m": m})
	if _, err := ask(r, "m"); err != nil {
		t.Error(err)
	}
}

// TestBudget counts calls and tokens, by hour and by day.
func TestBudget(t *testing.T) {
	t.Parallel()
	s := serve(t, text(200, openAIHello)) // 9 tokens each
	for _, b := range []struct {
		name  string
		limit func(*relay.Model)
		fit   int
		again time.Duration // when there is room again
	}{
		{"calls_per_hour", func(m *relay.Model) { m.CallsPerHour = 3 }, 3, time.Hour},
		{"calls_per_day", func(m *relay.Model) { m.CallsPerDay = 4 }, 4, 24 * time.Hour},
		{"tokens_per_hour", func(m *relay.Model) { m.TokensPerHour = 18 }, 2, time.Hour},
		{"tokens_per_day", func(m *relay.Model) { m.TokensPerDay = 19 }, 3, 24 * time.Hour},
	} {
		c, m := newClock(), model(s.URL)
		b.limit(&m)
		r := newRelay(t, relay.Options{Now: c.now}, map[string]relay.Model{"m": m})
		for range b.fit {
			if _, err := ask(r, "m"); err != nil {
				t.Fatalf("%s: %v", b.name, err)
			}
		}
		_, err := ask(r, "m")
		if e := wantKind(t, err, relay.Budget); !strings.Contains(e.Error(), b.name) {
			t.Errorf("%s: %v", b.name, err)
		}
		c.at = c.at.Add(b.again - time.Minute)
		if _, err := ask(r, "m"); err == nil && b.again > time.Hour {
			t.Errorf("%s: a minute too early there is room", b.name)
		}
		c.at = c.at.Add(time.Minute)
		if _, err := ask(r, "m"); err != nil {
			t.Errorf("%s: after %s: %v", b.name, b.again, err)
		}
	}
}

// TestBudgetOfManyProcesses asks from many relays at once: no call is lost.
func TestBudgetOfManyProcesses(t *testing.T) {
	t.Parallel()
	s := serve(t, text(200, openAIHello))
	m := model(s.URL)
	m.CallsPerHour = 5
	state := filepath.Join(t.TempDir(), "relay.json")
	var wg sync.WaitGroup
	for range 20 {
		r := newRelay(t, relay.Options{State: state}, map[string]relay.Model{"m": m})
		wg.Go(func() { _, _ = ask(r, "m") })
	}
	wg.Wait()
	if n := s.asked(); n != 5 {
		t.Errorf("%d calls were made, 5 are allowed", n)
	}
}

// TestDamagedState fails closed: who does not know what was used does not ask.
func TestDamagedState(t *testing.T) {
	t.Parallel()
	s := serve(t, text(200, openAIHello))
	for _, damage := range []string{"", "{", `{"$schema":"other","models":{}}`, `{"$schema":"sheratan.relay-state/v1","models":null}`, `[]`} {
		state := filepath.Join(t.TempDir(), "relay.json")
		if err := os.WriteFile(state, []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ask(newRelay(t, relay.Options{State: state}, map[string]relay.Model{"m": model(s.URL)}), "m")
		if e := wantKind(t, err, relay.State); !strings.Contains(e.Error(), "remove it") {
			t.Errorf("%q: %v", damage, err)
		}
	}
	if s.asked() != 0 {
		t.Error("a model was asked")
	}
}

// TestFallback asks the models of a list in turn, and names those that failed.
func TestFallback(t *testing.T) {
	t.Parallel()
	bad, good := serve(t, text(400, "no")), serve(t, text(200, openAIHello))
	r := newRelay(t, relay.Options{}, map[string]relay.Model{"bad": model(bad.URL), "good": model(good.URL)})
	got, err := r.Ask(context.Background(), []string{"none", "bad", "good"}, relay.Request{Prompt: "x"})
	if err != nil || got.Model != "good" {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = r.Ask(context.Background(), []string{"none", "bad"}, relay.Request{Prompt: "x"})
	if err == nil || !strings.Contains(err.Error(), "model none: is not in the config, which has bad, good") || !strings.Contains(err.Error(), "model bad: 400") {
		t.Errorf("%v", err)
	}
	if _, err := r.Ask(context.Background(), nil, relay.Request{}); err == nil {
		t.Error("nobody was asked, and answered")
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("enough"))
	if _, err := r.Ask(ctx, []string{"bad", "good"}, relay.Request{Prompt: "x"}); err == nil || good.asked() != 1 {
		t.Errorf("after its end: %v", err)
	}
}

// TestRequestSize refuses before anything is sent.
func TestRequestSize(t *testing.T) {
	t.Parallel()
	s := serve(t, text(200, openAIHello))
	m := model(s.URL)
	m.RequestBytes = 12
	_, err := ask(newRelay(t, relay.Options{}, map[string]relay.Model{"m": m}), "m")
	if wantKind(t, err, relay.TooLarge); s.asked() != 0 {
		t.Error("it was sent")
	}
}
