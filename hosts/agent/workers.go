package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/sheratan/sheratan/hosts/roots"
	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/kind"
)

// workers keeps processes that execute file kinds. One is started when all others are busy, and each serves one job
// after the other until it is too late with one.
type workers struct {
	argv     []string
	spec     roots.Spec
	paths    []string // of the roots, resolved
	restrict bool
	user     *sandbox.User

	mu   sync.Mutex
	idle []*workerProcess
}

// workerProcess is one of them, with the ends of its pipes that are ours.
type workerProcess struct {
	cmd   *exec.Cmd
	in    *os.File
	out   *os.File
	r     *bufio.Reader
	roots []os.FileInfo // as they were when it started

	forget func() // that it is ours
}

func (a *Agent) files(ctx context.Context, j job.Job, params any, timeout time.Duration, res *job.Result) *failure {
	req := request{Limit: a.opt.Limit}
	writes := false
	switch p := params.(type) {
	case kind.FileRead:
		req.Read = &p
	case kind.FileList:
		req.List = &p
	case kind.FileWrite:
		req.Write, writes = &p, true
	case kind.FileEdit:
		req.Edit, writes = &p, true
	case kind.FilePatch:
		req.Patch, writes = &p, true
	}
	if ctx.Err() != nil {
		return failed(CodeCancelled, true, "cancelled")
	}
	if a.workers.restrict {
		res.Sandbox = string(sandbox.LevelRestricted)
	}
	start := time.Now()
	w, err := a.workers.take()
	if err != nil {
		return unlessFault(fmt.Errorf("worker: %w", err), CodeWorker, true)
	}
	stdout, stderr, err := a.captures(j, res.Attempt, a.opt.Limit)
	if err == nil && writes {
		if err = a.mark(j.ID, res.Attempt); err != nil {
			a.spares.give(stdout, stderr)
		}
	}
	if err != nil {
		a.workers.give(w)
		return hostFault("%v", err)
	}
	defer a.spares.give(stdout, stderr)
	last, usable, err := w.ask(ctx, req, stdout, start.Add(timeout))
	res.DurationMS = time.Since(start).Milliseconds()
	if usable && last.Code != CodeHost {
		a.workers.give(w)
	} else {
		w.kill()
	}
	if err != nil {
		return a.store(res, stdout, stderr, workerFailure(ctx, err, timeout))
	}
	if last.Code == CodeHost {
		return hostFault("worker: %s", last.Error)
	}
	stdout.Bytes = max(stdout.Bytes, last.Total)
	var fail *failure
	if last.Code != "" {
		fail = &failure{code: last.Code, text: last.Error, retryable: last.Retryable}
	}
	return a.store(res, stdout, stderr, fail)
}

func workerFailure(ctx context.Context, err error, timeout time.Duration) *failure {
	switch {
	case ctx.Err() != nil:
		return failed(CodeCancelled, true, "cancelled")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return timedOut(timeout)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.EPIPE):
		return failed(CodeWorker, true, "the worker process died")
	}
	return failed(CodeWorker, true, "%v", err)
}

// take returns an idle worker, or a new one.
func (w *workers) take() (*workerProcess, error) {
	for {
		w.mu.Lock()
		n := len(w.idle)
		if n == 0 {
			w.mu.Unlock()
			return w.start(w.spec, 0)
		}
		p := w.idle[n-1]
		w.idle = w.idle[:n-1]
		w.mu.Unlock()
		if w.restrict && !slices.EqualFunc(p.roots, w.stat(), sameFile) {
			p.kill() // a root was replaced, and it may only work in the one that was there
			continue
		}
		return p, nil
	}
}

// once asks a worker of its own that has no roots and so much memory, and ends it.
func (w *workers) once(ctx context.Context, req request, data int64, deadline time.Time) (frame, error) {
	p, err := w.start(roots.Spec{Workspace: w.spec.Workspace}, data)
	if err != nil {
		return frame{}, err
	}
	defer p.kill()
	last, _, err := p.ask(ctx, req, nil, deadline)
	return last, err
}

// stat looks at the roots. Of one that is missing there is nothing.
func (w *workers) stat() []os.FileInfo {
	list := make([]os.FileInfo, len(w.paths))
	for i, path := range w.paths {
		list[i], _ = os.Stat(path)
	}
	return list
}

func sameFile(a, b os.FileInfo) bool { return a != nil && b != nil && os.SameFile(a, b) }

func (w *workers) give(p *workerProcess) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.idle = append(w.idle, p)
}

// close lets the idle workers end, which they do when their input does.
func (w *workers) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.idle {
		p.in.Close()
		p.forget()
		p.cmd.Wait()
		p.out.Close()
	}
	w.idle = nil
}

// start starts a worker. It has no environment, no terminal and no standard error, and ends when this process does,
// because its input does. A parent-death signal would not do: it comes when the thread ends that started it.
func (w *workers) start(spec roots.Spec, data int64) (*workerProcess, error) {
	if len(w.argv) == 0 {
		return nil, errors.New("no program is configured")
	}
	childIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, childOut, err := os.Pipe()
	if err != nil {
		childIn.Close()
		in.Close()
		return nil, err
	}
	p := &workerProcess{in: in, out: out, r: bufio.NewReaderSize(out, maxFrame)}
	p.cmd = &exec.Cmd{Path: w.argv[0], Args: w.argv, Env: []string{}, Dir: "/", Stdin: childIn, Stdout: childOut,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true}}
	sandbox.Seal()
	p.roots = w.stat()
	err = p.cmd.Start()
	childIn.Close()
	childOut.Close()
	if err != nil {
		in.Close()
		out.Close()
		return nil, err
	}
	p.forget = sandbox.Known(p.cmd.Process.Pid)
	if err := writeLine(in, hello{Roots: spec, Restrict: w.restrict, Data: data, User: w.user}); err != nil {
		p.kill()
		return nil, err
	}
	return p, nil
}

// kill ends the worker without waiting: one that hangs in a system call dies when that returns.
func (p *workerProcess) kill() {
	p.cmd.Process.Kill()
	p.in.Close()
	p.out.Close()
	go func() {
		p.cmd.Wait()
		p.forget()
	}()
}

// ask sends one request and copies the answer's data to out, until the deadline or the end of ctx. usable reports
// whether the worker can be asked again.
func (p *workerProcess) ask(ctx context.Context, req request, out *sandbox.Capture, deadline time.Time) (
	last frame, usable bool, err error) {
	if err := errors.Join(p.in.SetDeadline(deadline), p.out.SetDeadline(deadline)); err != nil {
		return frame{}, false, err
	}
	stop := context.AfterFunc(ctx, func() {
		p.in.SetDeadline(time.Unix(1, 0))
		p.out.SetDeadline(time.Unix(1, 0))
	})
	if err := writeLine(p.in, req); err != nil {
		stop()
		return frame{}, false, err
	}
	for {
		f, err := readFrame(p.r, out)
		if err != nil {
			stop()
			return frame{}, false, err
		}
		if f.Done {
			// Where the context has just ended, its function may still be about to spoil the next request.
			return f, stop(), nil
		}
	}
}
