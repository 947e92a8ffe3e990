package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/workspace"
)

// ownReplies is what an agent with a user of its own can read of a workspace: the answers to what it has proposed, and copies of
// what its jobs left. The commands that ask about a job answer from it.
type ownReplies struct {
	a      *app
	ws     *workspace.Workspace
	source string
}

// own returns the replies of this user, where the workspace is one whose config this user may not read.
func (a *app) own() (*ownReplies, bool) {
	u, err := user.Current()
	if err != nil || !job.ValidID(u.Username) {
		return nil, false
	}
	dir := a.env.Dir
	named := a.global.Workspace
	if named == "" {
		named = a.env.Getenv(workspace.EnvWorkspace)
	}
	if named != "" {
		dir = a.env.path(named)
	}
	for {
		for _, at := range []string{dir, filepath.Join(dir, "sheratan")} {
			ws := workspace.At(at)
			var st unix.Stat_t
			if unix.Stat(ws.Replies(u.Username), &st) == nil && int(st.Uid) == os.Geteuid() && unix.Access(ws.Config(), unix.R_OK) == unix.EACCES {
				return &ownReplies{a, ws, u.Username}, true
			}
		}
		if parent := filepath.Dir(dir); parent == dir || named != "" {
			return nil, false
		} else {
			dir = parent
		}
	}
}

// reply is the latest answer about a job.
func (o *ownReplies) reply(id string) (r pipeline.Reply, err error) {
	if !job.ValidID(id) {
		return r, usagef("%q: is not the id of a job", id)
	}
	err = o.read(o.ws.Reply(o.source, id), &r)
	if errors.Is(err, fs.ErrNotExist) {
		return r, fmt.Errorf("%s: there is no answer to a job of this id that you proposed", escape(id))
	}
	return r, err
}

func (o *ownReplies) read(path string, v any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// why tells of a job what its proposer may know.
func (o *ownReplies) why(id string) error {
	r, err := o.reply(id)
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s  %s\n", escape(r.JobID), escape(string(r.Status)), escape(r.Message))
	for _, x := range r.Reasons {
		fmt.Fprintf(&b, "  %s %s %s: %s\n", escape(x.Gate), escape(x.Code), escape(x.Pointer), escape(x.Message))
	}
	for _, x := range r.Suggestions {
		fmt.Fprintf(&b, "  suggested: %s %s %s\n", escape(x.Op), escape(x.Path), escape(clip(string(x.Value), 80)))
	}
	if r.ResultPath != "" {
		fmt.Fprintf(&b, "result in %s\n", escape(filepath.Join(o.ws.Root(), r.ResultPath)))
	}
	return o.a.show(r, b.String())
}

// wait waits until jobs have ended, and prints how.
func (o *ownReplies) wait(ctx context.Context, ids []string, w pipeline.WaitOptions) error {
	o.a.streaming()
	var v verdicts
	var late <-chan time.Time
	if w.Timeout > 0 {
		timer := time.NewTimer(w.Timeout)
		defer timer.Stop()
		late = timer.C
	}
	ended := map[string]bool{}
	for {
		for _, id := range ids {
			var r pipeline.Reply
			if !ended[id] {
				if !job.ValidID(id) {
					return usagef("%q: is not the id of a job", id)
				}
				// A proposal that nobody has taken yet has no answer.
				if err := o.read(o.ws.Reply(o.source, id), &r); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
			if !r.Status.Final() && r.Status != job.StatusQuarantined {
				continue
			}
			ended[id] = true
			v.add(string(r.Status))
			if err := o.a.show(r, fmt.Sprintf("%s  %s  %s\n", escape(r.JobID), escape(string(r.Status)), escape(r.Message))); err != nil {
				return err
			}
		}
		if len(ended) == len(ids) || w.Any && len(ended) > 0 {
			return finish(ctx, nil, &v)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-late:
			o.a.people.note("the jobs did not end in time")
			return outcome(exitTimeout)
		case <-time.After(logPoll):
		}
	}
}

// over waits until a job has ended, or somebody has to decide about it first. What it writes until then is not for its agent yet: the copies
// are made of what is kept in the end.
func (o *ownReplies) over(ctx context.Context, id string) (r pipeline.Reply, err error) {
	for told := false; ; told = true {
		r, err = o.reply(id)
		if err != nil || r.Status.Final() || r.Status == job.StatusQuarantined {
			return r, err
		}
		if !told {
			o.a.people.note("%s: is %s; what it writes comes when it has ended", id, r.Status)
		}
		select {
		case <-ctx.Done():
			return r, context.Cause(ctx)
		case <-time.After(logPoll):
		}
	}
}

// logs prints what the last attempt of a job wrote.
func (o *ownReplies) logs(ctx context.Context, id string, l *logsOptions) error {
	if l.Remove || l.Attempt != 0 {
		return usagef("logs: as an agent you can print the output of the last attempt, and remove none")
	}
	r, err := o.reply(id)
	if l.Follow && err == nil {
		r, err = o.over(ctx, id)
	}
	if err != nil {
		return err
	}
	if !r.Status.Final() {
		o.a.people.note("%s: is %s", id, r.Status)
		return nil
	}
	base := strings.TrimSuffix(o.ws.SharedResult(o.source, id), ".json")
	for _, s := range []struct {
		asked bool
		name  string
		to    io.Writer
		tty   bool
	}{{l.Stdout, ".stdout", o.a.out, o.a.env.StdoutTTY}, {l.Stderr, ".stderr", o.a.env.Stderr, o.a.env.StderrTTY}} {
		if !s.asked {
			continue
		}
		f, err := os.Open(base + s.name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it wrote nothing
		}
		if err != nil {
			return err
		}
		to := s.to
		if s.tty && !l.Raw {
			to = &textTerminal{w: to}
		}
		_, err = io.Copy(to, f)
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// kinds returns what may be proposed.
func (o *ownReplies) kinds() (list []pipeline.SharedKind, err error) {
	err = o.read(filepath.Join(o.ws.Replies(o.source), workspace.KindsName), &list)
	return list, err
}

func (o *ownReplies) printKinds() error {
	list, err := o.kinds()
	if err != nil {
		return err
	}
	t := &table{style: o.a.out.style, header: []string{"KIND", "HERE", "EFFECT", "WHAT"}}
	for _, k := range list {
		if o.a.global.JSON {
			if err := o.a.out.line(kindLine{Kind: k.Kind, Decision: k.Decision, Effect: k.Effect, RerunSafe: k.RerunSafe, Paths: []string{}, Summary: k.Summary}); err != nil {
				return err
			}
			continue
		}
		t.add(k.Kind, k.Decision, k.Effect, k.Summary)
	}
	return t.flush(o.a.out)
}

func (o *ownReplies) showKind(name string) error {
	list, err := o.kinds()
	if err != nil {
		return err
	}
	for _, k := range list {
		if k.Kind == name {
			var text bytes.Buffer
			if err := json.Indent(&text, k.Schema, "", "  "); err != nil {
				return err
			}
			text.WriteByte('\n')
			return o.a.writeDocument(text.Bytes())
		}
	}
	return hint(fmt.Errorf("%s: no such kind", escape(name)), "sheratan kinds list")
}
