package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sheratan/sheratan/runtime/durable"
)

// A model that failed this often within the window is left alone for a while. Then one call is let through to try it: if
// that fails too, the while begins anew.
const (
	breakerFailures = 5
	breakerWindow   = 10 * time.Minute
	breakerOpen     = 30 * time.Minute
)

// SchemaState is the value of $schema in the file of a store.
const SchemaState = "sheratan.relay-state/v1"

// maxState bounds the file in bytes: a few dozen models need some hundred kilobytes.
const maxState = 8 << 20

// store keeps what models have used and how they failed, in one file for all processes.
type store struct {
	path string // "" keeps nothing
	now  func() time.Time
}

type state struct {
	Schema string                 `json:"$schema"`
	Models map[string]*modelState `json:"models"`
}

type modelState struct {
	Failures  []time.Time       `json:"failures"`            // those within the window, oldest first
	OpenUntil time.Time         `json:"open_until,omitzero"` // no calls before
	Used      map[string]*usage `json:"used"`                // by hour, as 2006-01-02T15 in UTC; of the last day
}

type usage struct {
	Calls  int `json:"calls"`
	Tokens int `json:"tokens"`
}

const hourForm = "2006-01-02T15"

// reserve counts a call before it is made, or says why it must not be.
func (s store) reserve(name string, m Model) *Error {
	var refused *Error
	err := s.change(name, func(st *modelState, now time.Time) {
		if now.Before(st.OpenUntil) {
			refused = &Error{name, Circuit, 0, fmt.Errorf("has failed %d times within %s, and is left alone until %s",
				breakerFailures, breakerWindow, st.OpenUntil.UTC().Format(time.RFC3339))}
			return
		}
		if text := st.exhausted(m, now); text != "" {
			refused = &Error{name, Budget, 0, errors.New(text)}
			return
		}
		if !st.OpenUntil.IsZero() {
			st.OpenUntil = now.Add(breakerOpen) // this call is the trial; others wait for how it ends
		}
		st.hour(now).Calls++
	})
	if err != nil {
		return &Error{name, State, 0, err}
	}
	return refused
}

// settle records how a call ended.
func (s store) settle(name string, tokens int, failure *Error) *Error {
	err := s.change(name, func(st *modelState, now time.Time) {
		st.hour(now).Tokens += tokens
		switch {
		case failure == nil && !st.OpenUntil.IsZero(): // the trial; otherwise a success in between excuses no failure
			st.Failures, st.OpenUntil = nil, time.Time{}
		case failure == nil:
		case failure.held():
			st.Failures = append(st.Failures, now)
			if len(st.Failures) >= breakerFailures {
				st.OpenUntil = now.Add(breakerOpen)
			}
		}
	})
	if err != nil {
		return &Error{name, State, 0, err}
	}
	return nil
}

// exhausted says which budget is used up, "" where none is.
func (st *modelState) exhausted(m Model, now time.Time) string {
	var day usage
	for _, u := range st.Used {
		day.Calls += u.Calls
		day.Tokens += u.Tokens
	}
	hour := *st.hour(now)
	for _, b := range []struct {
		used, limit int
		name        string
	}{
		{hour.Calls, m.CallsPerHour, "calls in this hour (calls_per_hour)"},
		{day.Calls, m.CallsPerDay, "calls within a day (calls_per_day)"},
		{hour.Tokens, m.TokensPerHour, "tokens in this hour (tokens_per_hour)"},
		{day.Tokens, m.TokensPerDay, "tokens within a day (tokens_per_day)"},
	} {
		if b.limit > 0 && b.used >= b.limit {
			return fmt.Sprintf("its budget is used up: %d of %d %s", b.used, b.limit, b.name)
		}
	}
	return ""
}

func (st *modelState) hour(now time.Time) *usage {
	key := now.UTC().Format(hourForm)
	if st.Used[key] == nil {
		st.Used[key] = &usage{}
	}
	return st.Used[key]
}

// forget drops what is too old to count.
func (st *modelState) forget(now time.Time) {
	oldest := now.UTC().Add(-23 * time.Hour).Format(hourForm)
	for key := range st.Used {
		if key < oldest {
			delete(st.Used, key)
		}
	}
	for len(st.Failures) > 0 && (st.Failures[0].Before(now.Add(-breakerWindow)) && st.OpenUntil.IsZero() || len(st.Failures) > breakerFailures) {
		st.Failures = st.Failures[1:]
	}
}

// change edits the state of one model under a lock.
func (s store) change(name string, edit func(*modelState, time.Time)) error {
	now := s.now()
	if s.path == "" {
		st := &modelState{Used: map[string]*usage{}}
		edit(st, now)
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	lock, err := durable.Lock(ctx, s.path+".lock")
	if err != nil {
		return err
	}
	defer lock.Unlock()
	all, err := s.read()
	if err != nil {
		return err
	}
	st := all.Models[name]
	if st == nil {
		st = &modelState{}
		all.Models[name] = st
	}
	if st.Used == nil {
		st.Used = map[string]*usage{}
	}
	st.forget(now)
	edit(st, now)
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return durable.WriteFile(s.path, append(text, '\n'), 0o600)
}

// read reads the file. One that cannot be read is an error: without it nobody knows what was used.
func (s store) read() (state, error) {
	all := state{Schema: SchemaState, Models: map[string]*modelState{}}
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return all, err
	}
	if info.Size() > maxState || !info.Mode().IsRegular() {
		return all, fmt.Errorf("%s: is not a file of budgets; remove it to begin new ones", s.path)
	}
	text, err := os.ReadFile(s.path)
	if err != nil {
		return all, err
	}
	if err := json.Unmarshal(text, &all); err != nil || all.Schema != SchemaState || all.Models == nil {
		return all, fmt.Errorf("%s: is damaged; remove it to begin new budgets", s.path)
	}
	return all, nil
}

// Standing is how a model stands.
type Standing struct {
	Model     string    `json:"model"`
	Failures  int       `json:"failures"`            // that count
	OpenUntil time.Time `json:"open_until,omitzero"` // it is left alone until then
	CallsHour int       `json:"calls_hour"`
	CallsDay  int       `json:"calls_day"`
	TokensDay int       `json:"tokens_day"`
}

// Standing returns how a model stands.
func (r *Relay) Standing(name string) (Standing, error) {
	s := Standing{Model: name}
	err := r.store.change(name, func(st *modelState, now time.Time) {
		s.Failures, s.OpenUntil, s.CallsHour = len(st.Failures), st.OpenUntil, st.hour(now).Calls
		for _, u := range st.Used {
			s.CallsDay += u.Calls
			s.TokensDay += u.Tokens
		}
	})
	return s, err
}
