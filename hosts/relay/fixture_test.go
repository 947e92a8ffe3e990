package relay_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sheratan/sheratan/hosts/relay"
)

// said is a server that answers as it is told, one handler for each request, the last one for all that follow.
type said struct {
	*httptest.Server
	mu     sync.Mutex
	turns  []http.HandlerFunc
	bodies []map[string]any
	heads  []http.Header
	paths  []string
}

func serve(t *testing.T, turns ...http.HandlerFunc) *said {
	t.Helper()
	s := &said{turns: turns}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		var body map[string]any
		_ = json.Unmarshal(text, &body)
		s.mu.Lock()
		s.bodies, s.heads, s.paths = append(s.bodies, body), append(s.heads, r.Header), append(s.paths, r.URL.Path)
		turn := s.turns[min(len(s.bodies), len(s.turns))-1]
		s.mu.Unlock()
		turn(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// asked is how many requests came.
func (s *said) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.bodies)
}

func text(code int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// cut ends the connection in the middle of a body that promises more.
func cut(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(w, `{"choices":[`)
	panic(http.ErrAbortHandler)
}

const openAIHello = `{"choices":[{"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":2}}`

// clock is a time that the test moves.
type clock struct{ at time.Time }

func newClock() *clock { return &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time { return c.at }

// model is an OpenAI-compatible model at a server.
func model(url string) relay.Model {
	m := relay.DefaultModel()
	m.Backend, m.URL, m.Model, m.TimeoutSeconds = relay.BackendOpenAI, url, "test-model", 20
	return m
}

func newRelay(t *testing.T, opt relay.Options, models map[string]relay.Model) *relay.Relay {
	t.Helper()
	c := relay.Config{Models: models}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	if opt.State == "" {
		opt.State = filepath.Join(t.TempDir(), "relay.json")
	}
	r := relay.New(c, opt)
	t.Cleanup(r.Close)
	return r
}

func ask(r *relay.Relay, name string) (relay.Answer, error) {
	return r.AskOne(context.Background(), name, relay.Request{System: "be brief", Prompt: "greet"})
}

// wantKind fails the test unless err is an *Error of a kind.
func wantKind(t *testing.T, err error, kind relay.Kind) *relay.Error {
	t.Helper()
	e, ok := errors.AsType[*relay.Error](err)
	if !ok || e.Kind != kind {
		t.Errorf("%v is not an error of kind %s", err, kind)
		return &relay.Error{Err: errors.New("none")}
	}
	return e
}
