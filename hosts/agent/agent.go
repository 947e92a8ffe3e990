// Package agent executes leased jobs on this machine: programs through hosts/sandbox, file kinds in a worker process
// through hosts/roots. Whatever happens to an attempt, it ends in a result.
//
// On disk, below Options.WorkDir, the private folders also elsewhere:
//
//	started/ID.ATTEMPT   exists from just before the first effect of an attempt until Forget: the start marker
//	N/, N/home, N/tmp    the private folder of one attempt at a time, emptied and used again; locked while in use
//	seen/                what was found in large folders that jobs see, for the next process (closedFiles)
//
// The folders are used again because making and removing three directories costs a file system like ext4 more than
// starting the program in them. The marker lies beside them, where a job does not clean it up by mistake.
package agent

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/kind"
)

// Codes of results, beside the codes of hosts/roots, which results of file kinds carry as they are.
const (
	CodeExit        = "EXIT"         // the program ended with a number other than 0
	CodeSignal      = "SIGNAL"       // a signal ended it that we did not send
	CodeTimeout     = "TIMEOUT"      // it was ended at its timeout
	CodeCancelled   = "CANCELLED"    // it was ended because the context was
	CodeStartFailed = "START_FAILED" // it could not be started
	CodeSandbox     = "SANDBOX"      // it could not be confined as demanded, and did not start
	CodeMemory      = "MEMORY"       // the kernel ended it, or a part of it, because it took more memory than the limit
	CodeDisk        = "DISK"         // it was ended because its files took more of the disk than the limit
	CodeCPU         = "CPU"          // it failed when it had had all the processor time that it may have; mostly it was ended for that
	CodeHost        = "HOST_FAULT"   // the machine could not start it, and nothing of it ran; no result of a job has this one
	CodeRefused     = "REFUSED"      // by the rules of this host, now
	CodeOutput      = "OUTPUT"       // its output could not be stored
	CodeWorkFolder  = "WORK_FOLDER"  // its folder or start marker could not be made
	CodeWorker      = "WORKER"       // the worker process for file kinds failed
	CodeConflict    = "CONFLICT"     // an edit or a patch does not fit the file as it is
	CodeTooLarge    = "TOO_LARGE"    // a file is too large for what is asked
	CodePanic       = "PANIC"        // a mistake in this program
)

// textBytes is how much of an output stands in the result itself.
const textBytes = 8 << 10

// Agent executes jobs, any number at a time.
type Agent struct {
	opt     Options
	folders folders
	workers workers
	keepers sandbox.Keepers
	closed  closedFiles
	spares  spares
}

// New returns an agent. Close it.
func New(opt Options) *Agent {
	if opt.Redact == nil {
		opt.Redact = func(s string) string { return s }
	}
	if opt.Warn == nil {
		opt.Warn = func(string, ...any) {}
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Limit == 0 {
		opt.Limit = sandbox.DefaultOutputLimit
	}
	if opt.Sandbox == "" {
		opt.Sandbox = sandbox.LevelNone
	}
	a := &Agent{opt: opt}
	a.folders.dir, a.folders.warn = cmp.Or(opt.Folders, opt.WorkDir), opt.Warn
	a.closed.dir = filepath.Join(opt.WorkDir, "seen")
	a.workers.argv = opt.Worker
	a.workers.spec, a.workers.paths = opt.Roots.Spec(), opt.Roots.Paths()
	a.workers.user = opt.User
	a.workers.restrict = opt.Sandbox != sandbox.LevelNone
	return a
}

// Close ends the workers and gives up the folders. No attempt may be running.
func (a *Agent) Close() error {
	a.workers.close()
	a.keepers.Close()
	a.folders.close()
	a.spares.close()
	return nil
}

// Attempt executes j for the attempt-th time, from 1, and reports what became of it. It returns soon after its context
// ends. Every failure is a result: Error, ErrorCode and Retryable say what it was. The output files are not synced; see
// Sync. The start marker stays until Forget, which must come after the result is recorded: between the two, a crash
// leaves an attempt of which only the marker tells that it ran. A program finds what deps left in its work folder.
func (a *Agent) Attempt(ctx context.Context, j job.Job, attempt int, deps ...Dependency) (res job.Result) {
	start := a.opt.Now()
	res = job.Result{
		Schema: job.SchemaResult, JobID: j.ID, Attempt: attempt, Host: a.opt.Host, Sandbox: string(sandbox.LevelNone),
		Status: job.StatusCompleted, StartedAt: job.FormatTime(start),
	}
	var err *failure
	defer func() {
		if p := recover(); p != nil {
			err = failed(CodePanic, false, "the agent failed: %v", p)
		}
		a.conclude(&res, err, start)
		hidingOf(j).result(&res)
		if !res.NotStarted {
			a.settle(j, &res)
			return
		}
		if err := Forget(a.opt.WorkDir, j.ID, attempt); err != nil {
			res.Error += "; start marker: " + err.Error()
		}
	}()
	err = a.execute(ctx, j, deps, &res)
	return res
}

func (a *Agent) conclude(res *job.Result, err *failure, start time.Time) {
	end := a.opt.Now()
	res.CompletedAt = job.FormatTime(end)
	if res.DurationMS == 0 {
		res.DurationMS = max(end.Sub(start).Milliseconds(), 0)
	}
	if err == nil {
		return
	}
	res.Status = job.StatusFailed
	if err.code == CodeCancelled {
		res.Status = job.StatusCancelled
	}
	if res.ExitCode == 0 && err.code != CodeOutput {
		res.ExitCode = -1
	}
	res.Error, res.ErrorCode, res.Retryable, res.NotStarted = a.opt.Redact(err.text), err.code, err.retryable, err.unstarted
}

func (a *Agent) execute(ctx context.Context, j job.Job, deps []Dependency, res *job.Result) *failure {
	if !job.ValidID(j.ID) || res.Attempt < 1 {
		return failed(CodeRefused, false, "job %q, attempt %d: not a valid name for an attempt", j.ID, res.Attempt)
	}
	k, ok := kind.Lookup(j.Payload.Kind)
	if !ok && a.opt.Kind != nil {
		k, ok = a.opt.Kind(j.Payload.Kind)
	}
	if !ok {
		return failed(CodeRefused, false, "unknown kind %q", j.Payload.Kind)
	}
	params, err := k.Parse(j.Payload.Params)
	if err != nil {
		return failed(CodeRefused, false, "%v", err)
	}
	timeout := time.Duration(j.TimeoutSeconds) * time.Second
	if timeout <= 0 {
		return failed(CodeRefused, false, "timeout_seconds is %d", j.TimeoutSeconds)
	}
	switch p := params.(type) {
	case kind.Noop:
		return a.collect(ctx, j, "", "", res, nil)
	case kind.Exec:
		if refused := a.checkEnv(p.Env); refused != nil {
			return refused
		}
		return a.exec(ctx, j, execution{Exec: p, limit: a.opt.Limit}, deps, timeout, res)
	case kind.Command:
		limit := a.opt.Limit
		if k.OutputBytes > 0 {
			limit = min(limit, k.OutputBytes)
		}
		own := kind.Exec{Argv: p.Argv, Cwd: p.Cwd, Env: p.Env}
		return a.exec(ctx, j, execution{Exec: own, kind: k.Name, limit: limit}, deps, timeout, res)
	case kind.LLM:
		return a.llm(ctx, j, p, deps, timeout, res)
	case kind.FileRead, kind.FileList, kind.FileWrite, kind.FileEdit, kind.FilePatch:
		return a.collect(ctx, j, "", "", res, a.files(ctx, j, p, timeout, res))
	}
	return failed(CodeRefused, false, "kind %q is not executed by this host", j.Payload.Kind)
}

// writes reports whether a job may change what is in the roots.
func (a *Agent) writes(j job.Job) bool { return a.opt.Access != nil && a.opt.Access(j).WriteRoots }

// temporary is an error that may be gone at the next attempt.
type temporary interface {
	error
	Temporary() bool
}

// execution is what is executed: the params of an exec job, or the command line that a kind of the operator's own makes.
type execution struct {
	kind.Exec
	kind  string // "" is exec
	limit int64  // bytes kept of each stream
}

func (a *Agent) exec(ctx context.Context, j job.Job, p execution, deps []Dependency, timeout time.Duration, res *job.Result) *failure {
	id := j.ID
	res.Sandbox = string(a.opt.Sandbox)
	if a.opt.Demand != nil {
		if why := a.opt.Demand(j); why != "" {
			return failed(CodeSandbox, false, "%s", why)
		}
	}
	path, digest, err := a.opt.Resolve(j, p.kind, p.Argv)
	if sandbox.Fault(err) {
		return hostFault("%v", err)
	}
	if err != nil {
		again, ok := errors.AsType[temporary](err)
		return failed(CodeRefused, ok && again.Temporary(), "%v", err)
	}
	res.Programs = []string{path + " " + digest}
	// Changing to the directory by its descriptor: between check and use its name could come to mean another one.
	where := p.Cwd
	if where == "" {
		where = "."
	}
	dir, cwd, err := a.opt.Roots.OpenDir(where)
	if sandbox.Fault(err) {
		return hostFault("%v", err)
	}
	if err != nil {
		return pathFailure(err)
	}
	defer dir.Close()
	folder, err := a.folders.take()
	if err != nil {
		return hostFault("work folder: %v", err)
	}
	defer func() {
		if res.Leaked == 0 {
			a.folders.give(folder)
		} // else it stays locked as long as this process lives: what would not die may yet wake up in there
	}()
	var more Access
	if a.opt.Access != nil {
		more = a.opt.Access(j)
	}
	env := a.env(id, attemptMark(a.opt.WorkDir, id, res.Attempt), folder.path, cwd, more.Env, p.Env)
	if len(deps) > 0 {
		if fail := a.provide(folder.path, deps); fail != nil {
			return fail
		}
		env = append(env, depsEnv(folder.path))
	}
	if err := folder.hand(a.opt.User); err != nil {
		return hostFault("work folder: %v", err)
	}
	if isGit(path) && !a.writes(j) {
		if env, err = withQuietGit(ctx, path, p.Argv, cwd, env); err != nil {
			return unlessFault(err, CodeRefused, false)
		}
	}
	stdout, stderr, err := a.captures(j, res.Attempt, p.limit)
	if err != nil {
		return hostFault("output: %v", err)
	}
	defer a.spares.give(stdout, stderr)
	if err := a.mark(id, res.Attempt); err != nil {
		return hostFault("%v", err)
	}
	mark := attemptMark(a.opt.WorkDir, id, res.Attempt)
	cmd := &sandbox.Cmd{
		Path: path, Argv: p.Argv, Dir: dirPath(dir, cwd), Env: env, Mark: mark,
		Stdout: stdout, Stderr: stderr, Timeout: timeout, Level: a.opt.Sandbox,
	}
	if a.opt.User != nil {
		cmd.Confine = &sandbox.Confinement{User: a.opt.User}
	}
	if a.opt.Sandbox != sandbox.LevelNone {
		if cmd.Confine, err = a.confine(more, path, folder.path); err != nil {
			return unlessFault(err, CodeSandbox, false)
		}
		cmd.Keepers = &a.keepers
	}
	if p.Stdin != "" {
		cmd.Stdin = []byte(p.Stdin)
	}
	report, err := cmd.Run(ctx)
	if a.opt.Sandbox == sandbox.LevelRestricted && more.WriteRoots {
		a.tellLeft(id, more, cmd.Confine)
	}
	res.ExitCode = report.ExitCode
	res.DurationMS = report.Duration.Milliseconds()
	res.CPUMS = report.CPU.Milliseconds()
	res.MaxRSSBytes = report.MaxRSS
	res.Survivors, res.SurvivorNames, res.Leaked = report.Survivors, report.Killed, report.Leaked
	res.Killed = report.Stopped
	if report.Signal != 0 {
		res.Signal = signalName(report.Signal)
	}
	fail := outcome(report, timeout)
	if start, ok := errors.AsType[*sandbox.StartError](err); ok {
		code := CodeStartFailed
		if start.Reason == sandbox.ReasonConfine {
			code = CodeSandbox
		}
		fail = failed(code, false, "%v", start)
		if start.Temporary() {
			return hostFault("%v", start)
		}
	}
	return a.collect(ctx, j, folder.path, cwd, res, a.store(res, stdout, stderr, fail))
}
