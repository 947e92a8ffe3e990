package agent

import (
	"context"
	"time"

	"github.com/sheratan/sheratan/hosts/relay"
	"github.com/sheratan/sheratan/hosts/roots"
	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/kind"
)

// Options say what an agent works with. Roots, Workspace, WorkDir, Output and Resolve are needed.
type Options struct {
	Roots     *roots.Roots
	Workspace string // absolute; results name paths relative to it
	WorkDir   string // absolute; runtime/.sheratan/jobs
	// User is who runs the jobs, nil is who we are; only root can let others do that. Folders is where the private folders of its
	// jobs are, in the place of WorkDir: it can pass through all that leads there.
	User    *sandbox.User
	Folders string
	// Output returns the absolute paths of the files for what an attempt writes. They are made when there is something
	// to write, with their folder, and are the attempt's own.
	Output func(jobID string, attempt int) (stdout, stderr string)
	// Artifacts returns the absolute path of the folder for the outputs that a job declared, the attempt's own as well.
	Artifacts func(jobID string, attempt int) string
	// Last reports whether a job is over with the attempt that ended so. What the last attempt left loses the number of the
	// attempt from its name (ID.2.stdout, ID.stdout). nil is never.
	Last func(j job.Job, res job.Result) bool
	// Kind returns a kind of the operator's own; nil is that there are none.
	Kind func(name string) (kind.Kind, bool)
	// Resolve returns the absolute path and the digest of the program that the exec rules allow for argv of a job at this moment,
	// or with the name of a kind of the operator's own that of the kind; or an error, which refuses the job. The file there is
	// still the one that was looked at. An error with Temporary() true lets another attempt follow.
	Resolve func(j job.Job, kind string, argv []string) (path, sha256 string, err error)

	// EnvAllowed reports whether a job may set a variable itself; nil allows none.
	EnvAllowed func(name, value string) bool

	Env []string // NAME=value, given to every job
	// DependencyBytes is how much a job is given of what its dependencies left; 0 is without limit.
	DependencyBytes int64
	// ArtifactBytes and ArtifactCount are what is kept of the outputs that one job declared; 0 is without limit.
	ArtifactBytes int64
	ArtifactCount int

	Limit int64  // bytes kept of each stream; 0 is sandbox.DefaultOutputLimit
	Host  string // its id
	// Sandbox is the level of programs; "" is none. Above none the worker restricts itself to the roots: results of file
	// kinds say restricted, whatever more the level gives to programs.
	Sandbox sandbox.Level
	// Demand returns why no program of a job may start at the level of Sandbox, "" where one may; nil lets all start.
	Demand func(j job.Job) string
	// Access says what a job may do beyond reading the roots; nil gives no more than that. It matters above LevelNone.
	Access func(j job.Job) Access
	// Ask asks a language model; nil is that this host does not.
	Ask func(ctx context.Context, model string, req relay.Request) (relay.Answer, error)
	// Prompt returns a question that the operator has written, by its name; nil knows none.
	Prompt func(name string) (text string, ok bool)
	Redact func(string) string              // takes credentials out of text; nil changes nothing
	Now    func() time.Time                 // nil is time.Now
	Warn   func(format string, args ...any) // tells a person; nil tells nobody
	Worker []string                         // argv that ends in WorkerMain; argv[0] is an absolute path
}

// Access is what one job may do.
type Access struct {
	WriteRoots bool              // change what is in the roots
	Unprotect  []string          // names of Protected that may be changed with them
	Read       []string          // absolute paths beside the system's: toolchains outside of /usr
	Write      []string          // caches
	Env        map[string]string // in the place of those of Options.Env: where these caches are
	Network    bool
	Limits     sandbox.Limits
}
