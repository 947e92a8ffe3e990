// Package relay asks language models: over HTTP in the three dialects that servers speak, or through a program. What comes
// back is text that nobody has vouched for; the relay says only whether it is whole.
//
// A call is bounded in time and in both directions in size. It is repeated only where the server asks for that (408, 429,
// 5xx) or the connection was lost, and no sooner than the server wants. A model that keeps failing is left alone for a
// while, and one that has used up its budget until there is a new one; both are kept in a file, so that they hold for all
// processes, one after another and side by side.
package relay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Request is what a model is asked.
type Request struct {
	System string `json:"system"`           // what the operator wants, "" is nothing
	Prompt string `json:"prompt"`           // the question, with data of others in it
	Schema any    `json:"schema,omitempty"` // a JSON Schema of the answer, for servers that can hold a model to one
}

// Finish is why an answer ended.
type Finish string

// Reasons.
const (
	FinishStop   Finish = "stop"   // the model had said what it wanted to say
	FinishLength Finish = "length" // it was cut off
	FinishRefuse Finish = "refuse" // it, or a filter of the server, would not say it
	FinishOther  Finish = "other"  // it wants to use a tool, or something that we have not heard of
)

// Answer is what a model said.
type Answer struct {
	Text      string `json:"text"`
	Finish    Finish `json:"finish"`
	Model     string `json:"model"` // its name in the config
	TokensIn  int    `json:"tokens_in"`
	TokensOut int    `json:"tokens_out"`
}

// Kind of an Error.
type Kind string

// Kinds. What is wrong with the request or its bounds counts against no model; the others do.
const (
	Unknown  Kind = "unknown"  // no model has that name
	Key      Kind = "key"      // its key cannot be had
	Budget   Kind = "budget"   // it is used up
	Circuit  Kind = "circuit"  // it has failed too often
	TooLarge Kind = "size"     // the request is larger than allowed
	State    Kind = "state"    // the file with budgets and failures cannot be used
	Ended    Kind = "ended"    // the caller gave up
	Timeout  Kind = "timeout"  // no answer within the deadline
	Lost     Kind = "lost"     // no connection, or it was cut
	Status   Kind = "status"   // the server refused
	Protocol Kind = "protocol" // what came back is no answer, or too large
	Program  Kind = "program"  // the program of a command model failed
)

// Error says why a model gave no answer.
type Error struct {
	Model  string
	Kind   Kind
	Status int // of HTTP, 0 where there was none
	Err    error
}

func (e *Error) Error() string { return "model " + e.Model + ": " + e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// held reports whether the error tells against the model.
func (e *Error) held() bool {
	switch e.Kind {
	case Timeout, Lost, Status, Protocol, Program:
		return true
	}
	return false
}

// Options say what a relay works with.
type Options struct {
	State     string                                     // absolute path of the file for budgets and failures; "" keeps none
	Record    string                                     // absolute path of the file to which conversations are added; "" is none
	Redact    func(string) string                        // takes credentials out of what is recorded or reported; nil changes nothing
	Mask      func(string) string                        // takes out of a request what no model may be told; nil changes nothing
	Now       func() time.Time                           // nil is time.Now
	Getenv    func(string) string                        // nil knows no variables
	Transport http.RoundTripper                          // nil is one of our own
	Sleep     func(context.Context, time.Duration) error // between attempts; nil waits
}

// Relay knows models by name. It can be used by several goroutines.
type Relay struct {
	models map[string]Model
	opt    Options
	client *http.Client
	store  store

	mu       sync.Mutex
	replayed map[string]int // model and digest of the request, to the number of answers from a recording
}

// New returns a relay for the models of a config that has been checked. Close it.
func New(c Config, opt Options) *Relay {
	if opt.Mask == nil {
		opt.Mask = func(s string) string { return s }
	}
	if opt.Redact == nil {
		opt.Redact = func(s string) string { return s }
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Getenv == nil {
		opt.Getenv = func(string) string { return "" }
	}
	r := &Relay{models: c.Models, opt: opt, store: store{path: opt.State, now: opt.Now}, replayed: map[string]int{}}
	transport := opt.Transport
	if transport == nil {
		transport = newTransport()
	}
	r.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // a key goes only where the config says
	}}
	return r
}

// Close gives up idle connections.
func (r *Relay) Close() { r.client.CloseIdleConnections() }

// Names returns the names of the models, sorted.
func (r *Relay) Names() []string { return slices.Sorted(maps.Keys(r.models)) }

// Ask asks the models of the list in turn until one answers. The error names each that did not.
func (r *Relay) Ask(ctx context.Context, names []string, req Request) (Answer, error) {
	if len(names) == 0 {
		return Answer{}, errors.New("no model is named")
	}
	var failures []error
	for _, name := range names {
		answer, err := r.AskOne(ctx, name, req)
		if err == nil {
			return answer, nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	return Answer{}, errors.Join(failures...)
}

// AskOne asks one model. The error is an *Error.
func (r *Relay) AskOne(ctx context.Context, name string, req Request) (Answer, error) {
	m, ok := r.models[name]
	if !ok {
		return Answer{}, &Error{name, Unknown, 0, fmt.Errorf("is not in the config, which has %s", listed(r.Names()))}
	}
	req.System, req.Prompt = r.opt.Mask(req.System), r.opt.Mask(req.Prompt)
	if size := len(req.System) + len(req.Prompt); m.RequestBytes > 0 && size > m.RequestBytes {
		return Answer{}, &Error{name, TooLarge, 0, fmt.Errorf("the request has %d bytes, at most %d are allowed", size, m.RequestBytes)}
	}
	key, err := m.key(r.opt.Getenv) // without it there is nothing to ask for, and nothing is used up
	if err != nil {
		return Answer{}, &Error{name, Key, 0, err}
	}
	if failure := r.store.reserve(name, m); failure != nil {
		return Answer{}, failure
	}
	deadline, cancel := context.WithTimeoutCause(ctx, time.Duration(m.TimeoutSeconds)*time.Second, errDeadline)
	defer cancel()
	answer, failure := r.call(deadline, name, m, key, req)
	if failure != nil {
		failure = r.explain(ctx, deadline, m, failure)
	}
	if stateErr := r.store.settle(name, answer.TokensIn+answer.TokensOut, failure); stateErr != nil && failure == nil {
		failure = stateErr
	}
	if failure != nil {
		return Answer{}, failure
	}
	answer.Model = name
	if err := r.record(name, req, answer); err != nil {
		return Answer{}, &Error{name, State, 0, err}
	}
	return answer, nil
}

var errDeadline = errors.New("deadline")

// explain finds out whether a failure is really that time ran out, or that the caller gave up, and takes secrets out of it.
func (r *Relay) explain(ctx, deadline context.Context, m Model, e *Error) *Error {
	switch {
	case ctx.Err() != nil:
		return &Error{e.Model, Ended, 0, context.Cause(ctx)}
	case deadline.Err() != nil:
		late := fmt.Errorf("no answer within %d s", m.TimeoutSeconds)
		if again := (*repeated)(nil); errors.As(e.Err, &again) {
			late = fmt.Errorf("%w; the attempt before: %s", late, r.opt.Redact(again.before.Error()))
		}
		return &Error{e.Model, Timeout, 0, late}
	}
	text := e.Err.Error()
	if clean := r.opt.Redact(text); clean != text {
		e.Err = errors.New(clean)
	}
	return e
}

func (r *Relay) call(ctx context.Context, name string, m Model, key string, req Request) (Answer, *Error) {
	switch m.Backend {
	case BackendCommand:
		return runCommand(ctx, name, m, req, r.opt.Getenv)
	case BackendReplay:
		return r.replay(name, m, req)
	}
	return r.post(ctx, name, m, key, req)
}

func listed(names []string) string {
	if len(names) == 0 {
		return "no models"
	}
	return strings.Join(names, ", ")
}
