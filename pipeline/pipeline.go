// Package pipeline moves jobs through their life: intake, gates, decisions, dispatch, execution, results. It owns the
// write path of docs/LEDGER.md (content, lock, catch up, decide, append, apply, project) and every stage is a method
// that uses it. It knows no flags and no terminal.
package pipeline

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/durable"
	"github.com/sheratan/sheratan/runtime/history"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
	"github.com/sheratan/sheratan/runtime/workspace"
)

// Notice is a word to the person at the terminal that is not a result.
type Notice struct {
	Level string // warning, hint or note
	Text  string
}

// Options are the things of the process that a pipeline uses. The zero value of each has a working default.
type Options struct {
	Now      func() time.Time
	Rand     io.Reader
	Notify   func(Notice) // may be called from several goroutines
	Actor    string       // who decides, as "uid:1000"
	NoCommit bool         // leave the git commit to the next command
	Worker   []string     // command that starts the worker process of the file kinds

	Getenv  func(string) string // for the keys of models; nil knows no variables
	Environ []string            // NAME=value of all variables: those with the name of a secret are kept from models and proposers
	Hurry   <-chan struct{}     // when it is closed, running jobs are ended that would be waited for otherwise; nil is never
}

// Pipeline is one process's hold on a workspace. Its methods may be called from one goroutine at a time.
type Pipeline struct {
	ws     *workspace.Workspace
	opts   Options
	log    *ledger.Log
	docs   *ledger.Documents
	runner ledger.Runner

	mu    sync.Mutex // guards db and rules, which the loop replaces, and named
	db    *index.DB
	rules *rules.Rules
	named namedSecrets

	git         *history.Repository
	memo        memo
	later       later
	bids        bidStore
	zones       *workspace.Zones
	caches      caches
	acts        bool            // the command is one that may write
	submitted   bool            // something was put into the inbox while nobody was at work
	rebooted    bool            // the machine was started again since a command last recovered
	wrote       int             // events written by this process
	at          int64           // length of the ledger behind the last of them
	did         TickLine        // what the command did, for the subject of its commit; ticks count for themselves
	markers     []marker        // of batches whose files are not in place yet
	batches     int64           // that were begun: how many markers were made
	shown       int64           // of these, those whose files are in place or put off
	misplaced   bool            // a file of one of these could not be put in place
	looked      time.Time       // when the engine last looked at what other processes did
	configured  string          // digest of the rules that the ledger is known to name
	offering    string          // of the rules under which the ledger is known to have what this host offers
	told        map[string]bool // what was said once and need not be said again
	strays      strays          // what lies in the inbox, is no proposal, and was told of; nil before it is asked for
	toldPack    bool
	warned      bool // about the sandbox level
	floor       atomic.Pointer[floor]
	rest        rest
	guarded     bool // the end of the documents was looked at
	uncommitted bool // the last commit failed, and whoever asked for it knows
}

// Open prepares work on ws. It is cheap: database, rules and git are opened when they are needed.
func Open(_ context.Context, ws *workspace.Workspace, o Options) (*Pipeline, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Notify == nil {
		o.Notify = func(Notice) {}
	}
	if o.Actor == "" {
		o.Actor = fmt.Sprintf("uid:%d", os.Getuid())
	}
	p := &Pipeline{ws: ws, opts: o, told: map[string]bool{}}
	p.caches.dir = filepath.Join(ws.Cache(), "sources")
	p.zones = ws.Zones(func(dir string) { p.warn("%s: the folder was missing and is made again", dir) })
	remade, err := ws.Restore()
	if err != nil {
		return nil, err
	}
	for _, dir := range remade {
		p.warn("%s: the folder was missing and is made again", dir)
	}
	if before, err := ws.Settle(); err == nil && before != "" {
		p.warn("this workspace lay in %s before: it was moved or copied, or is reached by another name", before)
	}
	if p.log, err = ledger.Open(ws.Outbox(), nil); err != nil {
		return nil, err
	}
	if p.docs, err = ledger.OpenDocuments(ws.Outbox(), nil); err != nil {
		return nil, err
	}
	start, err := durable.ProcessStart(os.Getpid())
	if err != nil {
		return nil, fmt.Errorf("own process: %w", err)
	}
	boot, err := durable.BootID()
	if err != nil {
		return nil, fmt.Errorf("boot: %w", err)
	}
	p.runner = ledger.Runner{Boot: boot, PID: os.Getpid(), Start: start}
	return p, nil
}

// Close commits what this process wrote to git, unless that was declined, and what others left out of it, and lets go of the
// files.
func (p *Pipeline) Close(ctx context.Context) error {
	var errs []error
	if !p.opts.NoCommit && !p.uncommitted {
		if p.wrote > 0 {
			_, err := p.commitWhile(ctx, p.did, nil)
			errs = append(errs, err)
		} else if p.acts {
			errs = append(errs, p.mend(ctx))
		} else if p.submitted {
			if err := p.mend(ctx); err != nil {
				p.warn("git: %v", err) // what was submitted is safe, and that is all that was asked for
			}
		}
	}
	if p.db != nil {
		errs = append(errs, p.db.Close())
	}
	return errors.Join(append(errs, p.log.Close(), p.docs.Close())...)
}

// Workspace returns the workspace that the pipeline works on.
func (p *Pipeline) Workspace() *workspace.Workspace { return p.ws }

// now is the clock, or where that was set back to before the last event, the time of that event and what has passed since
// it was seen.
func (p *Pipeline) now() time.Time {
	now := p.opts.Now()
	if f := p.floor.Load(); f != nil {
		if at := f.at.Add(now.Sub(f.seen)); at.After(now) {
			now = at
		}
	}
	return now.UTC()
}

// floor is a time that the clock must not be behind.
type floor struct {
	at   time.Time // of the last event
	seen time.Time // what the clock, which was behind it, said then; with the monotonic reading that cannot be set
}

func (p *Pipeline) warn(format string, args ...any) {
	p.opts.Notify(Notice{Level: "warning", Text: fmt.Sprintf(format, args...)})
}

// tellOnce warns of each thing once in the life of the process.
func (p *Pipeline) tellOnce(list []string) {
	for _, s := range list {
		if !p.told[s] {
			p.told[s] = true
			p.warn("%s", s)
		}
	}
}

func (p *Pipeline) note(format string, args ...any) {
	p.opts.Notify(Notice{Level: "note", Text: fmt.Sprintf(format, args...)})
}

// Rules loads the rules in force. A loop that wants to see changes calls reloadRules first.
func (p *Pipeline) Rules(ctx context.Context) (*rules.Rules, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rules != nil {
		return p.rules, nil
	}
	r, err := rules.Load(ctx, p.ws, rules.Options{})
	if err != nil {
		return nil, err
	}
	p.rules = r
	for _, text := range r.Elsewhere() {
		p.warn("%s", text)
	}
	return r, nil
}
