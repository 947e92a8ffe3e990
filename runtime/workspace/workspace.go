// Package workspace knows where things lie: it finds and makes a workspace, names every path in it, takes files out of
// its inbox, puts job files into its zones, and says what is wrong with the folders and the machine. What the files
// mean is for others to know.
//
// Paths are fixed by the layout below and made only of names that job.ValidID accepts, or that this package escaped.
//
//	config/ missions/ work/ cache/ AGENTS.md
//	runtime/inbox/                    proposals; inbox/SOURCE/ stamps the source
//	runtime/queue/approved/ID.json    runtime/queue/blocked/ID/{job.json,report.json,raw}
//	runtime/outbox/                   results/YYYY/MM/DD/HH/, replies/SOURCE/, ledger/, documents/
//	runtime/.sheratan/                index.db, lock, claimed/, private/, jobs/, slots/, torn/, …
package workspace

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sheratan/sheratan/runtime/durable"
)

// SourceInbox is the source of files that lie directly in inbox/.
const SourceInbox = "inbox"

// Workspace is a workspace at an absolute path without symbolic links. It holds no open files.
type Workspace struct{ root string }

// Open returns the workspace at dir, which must hold config/sheratan.json. The error is a *NotFoundError where it does
// not.
func Open(dir string) (*Workspace, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return nil, &NotFoundError{Dir: abs, Err: err}
	}
	w := &Workspace{root: real}
	info, err := os.Stat(w.Config())
	if err != nil {
		return nil, &NotFoundError{Dir: real, Err: err}
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: is not a regular file", w.Config())
	}
	return w, nil
}

// At names the paths of a workspace at dir, an absolute path, whether there is one or not.
func At(dir string) *Workspace { return &Workspace{root: filepath.Clean(dir)} }

func (w *Workspace) path(elem ...string) string {
	return w.root + string(filepath.Separator) + filepath.Join(elem...)
}

// Root is the workspace itself.
func (w *Workspace) Root() string { return w.root }

// ConfigDir holds what people write: the configuration, policies, kinds, prompts and trusted keys.
func (w *Workspace) ConfigDir() string { return w.path("config") }

// Config is the configuration file.
func (w *Workspace) Config() string { return w.path("config", "sheratan.json") }

// ConfigLock pins the digest of the rules, where somebody locked them.
func (w *Workspace) ConfigLock() string { return w.path("config", "sheratan.lock.json") }

// Policies holds the policy files, *.json.
func (w *Workspace) Policies() string { return w.path("config", "policies") }

// Kinds holds the operator's kinds, *.json.
func (w *Workspace) Kinds() string { return w.path("config", "kinds") }

// Prompts holds the questions that the operator has written for language models, *.txt.
func (w *Workspace) Prompts() string { return w.path("config", "prompts") }

// Trust holds public keys.
func (w *Workspace) Trust() string { return w.path("config", "trust") }

// Missions holds declared missions, *.json.
func (w *Workspace) Missions() string { return w.path("missions") }

// Work is the default root of jobs.
func (w *Workspace) Work() string { return w.path("work") }

// Cache is where toolchains keep what they have built between jobs, where the config lets them. It is made when needed.
func (w *Workspace) Cache() string { return w.path("cache") }

// Agents is AGENTS.md.
func (w *Workspace) Agents() string { return w.path("AGENTS.md") }

// Runtime holds everything that the machine writes; .git in it is the ledger's repository.
func (w *Workspace) Runtime() string { return w.path("runtime") }

// Git is the ledger's repository.
func (w *Workspace) Git() string { return w.path("runtime", ".git") }

// Inbox is the folder of proposals.
func (w *Workspace) Inbox() string { return w.path("runtime", "inbox") }

// InboxOf is the folder whose files have the given source.
func (w *Workspace) InboxOf(source string) string {
	if source == SourceInbox {
		return w.Inbox()
	}
	return w.path("runtime", "inbox", source)
}

// ApprovedDir holds the files of pending, throttled and running jobs.
func (w *Workspace) ApprovedDir() string { return w.path("runtime", "queue", "approved") }

// Approved is the file of a pending, throttled or running job.
func (w *Workspace) Approved(id string) string {
	return w.path("runtime", "queue", "approved", id+".json")
}

// BlockedDir holds the folders of quarantined jobs.
func (w *Workspace) BlockedDir() string { return w.path("runtime", "queue", "blocked") }

// Blocked is the folder of a quarantined job.
func (w *Workspace) Blocked(id string) string { return w.path("runtime", "queue", "blocked", id) }

// Outbox holds results, replies, ledger and documents.
func (w *Workspace) Outbox() string { return w.path("runtime", "outbox") }

// Results holds the files of jobs that are over, by hour: a machine can do some 100,000 jobs in one, and a folder with far more
// names is slow to list and to remove from.
func (w *Workspace) Results() string { return w.path("runtime", "outbox", "results") }

// ResultDir is the folder of results of the hour of t, in UTC.
func (w *Workspace) ResultDir(t time.Time) string {
	return w.Results() + t.UTC().Format("/2006/01/02/15")
}

// Result is the file of a completed, failed or cancelled job; t is the time of the event that ended it.
func (w *Workspace) Result(id string, t time.Time) string { return w.ResultFile(id, t, ".json") }

// ResultFile is a file beside Result, with another suffix: .stdout, .stderr or .artifacts.
func (w *Workspace) ResultFile(id string, t time.Time, suffix string) string {
	return w.ResultDir(t) + "/" + id + suffix
}

// FindResult is ResultFile where there is one, or where there is none anywhere. Versions before this one had one folder for each day:
// what they left there stays, for the ledger names it.
func (w *Workspace) FindResult(id string, t time.Time, suffix string) string {
	path := w.ResultFile(id, t, suffix)
	day := w.Results() + t.UTC().Format("/2006/01/02/") + id + suffix
	if missing(path) && !missing(day) {
		return day
	}
	return path
}

// RepliesDir holds the answers to proposers.
func (w *Workspace) RepliesDir() string { return w.path("runtime", "outbox", "replies") }

// Replies holds the answers to one source.
func (w *Workspace) Replies(source string) string {
	return w.path("runtime", "outbox", "replies", source)
}

// Reply is the latest answer about a job to its proposer.
func (w *Workspace) Reply(source, id string) string {
	return w.path("runtime", "outbox", "replies", source, id+".json")
}

// LedgerDir holds the ledger's segments.
func (w *Workspace) LedgerDir() string { return w.path("runtime", "outbox", "ledger") }

// Documents holds the document segments.
func (w *Workspace) Documents() string { return w.path("runtime", "outbox", "documents") }

// State holds what only this program reads: index, locks, claims.
func (w *Workspace) State() string { return w.path("runtime", ".sheratan") }

// IndexDB is the SQLite index.
func (w *Workspace) IndexDB() string { return w.path("runtime", ".sheratan", "index.db") }

// LockFile is the file whose flock is the mutex of the write path. It is never deleted.
func (w *Workspace) LockFile() string { return w.path("runtime", ".sheratan", "lock") }

// Lock takes the mutex of the write path, and waits for it as long as ctx allows. It is held for milliseconds.
func (w *Workspace) Lock(ctx context.Context) (*durable.LockedFile, error) {
	return durable.Lock(ctx, w.LockFile())
}

// DocumentsLock is the file whose flock a writer of documents holds.
func (w *Workspace) DocumentsLock() string { return w.path("runtime", ".sheratan", "documents.lock") }

// GitLock is the file whose flock a writer of the ledger's repository holds.
func (w *Workspace) GitLock() string { return w.path("runtime", ".sheratan", "git.lock") }

// PrivateDocument is the file of a document of the job in which a credential was found.
func (w *Workspace) PrivateDocument(id string) string {
	return w.path("runtime", ".sheratan", "private", id+".json")
}

// PrivateSalt is the file with the salt of the digests by which the ledger names what an operator has waived of the job.
func (w *Workspace) PrivateSalt(id string) string {
	return w.path("runtime", ".sheratan", "private", id+".salt")
}

// Projecting holds a marker for each batch whose job files may not be in place yet.
func (w *Workspace) Projecting() string { return w.path("runtime", ".sheratan", "projecting") }

// Removing holds a marker for each batch of files that the ledger says were removed and that may still be there.
func (w *Workspace) Removing() string { return w.path("runtime", ".sheratan", "removing") }

// FollowUps holds what the answers of models propose, until that is gated.
func (w *Workspace) FollowUps() string { return w.path("runtime", ".sheratan", "followups") }

// Retained is the file whose time is when files were last looked through for those that are kept too long, and which says by
// which policy.
func (w *Workspace) Retained() string { return w.path("runtime", ".sheratan", "retained") }

// Answered is the file with the number of the first event whose jobs may still have replies that are kept too long.
func (w *Workspace) Answered() string { return w.path("runtime", ".sheratan", "answered") }

// Strays remembers which files of the inbox that are no proposals were told of.
func (w *Workspace) Strays() string { return w.path("runtime", ".sheratan", "strays.json") }

// LoopLock is the file whose flock a looping tick holds.
func (w *Workspace) LoopLock() string { return w.path("runtime", ".sheratan", "loop.lock") }

// ClaimedDir holds files that were taken out of the inbox and are not in the ledger yet.
func (w *Workspace) ClaimedDir() string { return w.path("runtime", ".sheratan", "claimed") }

// Claimed is the file of one claim.
func (w *Workspace) Claimed(token string) string {
	return w.path("runtime", ".sheratan", "claimed", token)
}

func (w *Workspace) claimers() string { return w.path("runtime", ".sheratan", "claimers") }

// trials holds a file for each claim of a dead process that is being taken up.
func (w *Workspace) trials() string { return w.path("runtime", ".sheratan", "trials") }

// Private holds documents in which a credential was found: mode 0600, outside git.
func (w *Workspace) Private() string { return w.path("runtime", ".sheratan", "private") }

// Jobs holds the work folders of attempts.
func (w *Workspace) Jobs() string { return w.path("runtime", ".sheratan", "jobs") }

// JobsOfUser has the private folders of jobs that run as another user. What else lies in the folder of Jobs is not for that one.
func (w *Workspace) JobsOfUser() string { return w.path("runtime", "jobs") }

// Attempt is the work folder of one attempt, from 1, of a job.
func (w *Workspace) Attempt(id string, attempt int) string {
	return w.path("runtime", ".sheratan", "jobs", fmt.Sprintf("%s.%d", id, attempt))
}

// Slots holds one lock file for each job that this host may run at a time.
func (w *Workspace) Slots() string { return w.path("runtime", ".sheratan", "slots") }

// Torn keeps bytes that were cut off the ledger because a write was not finished.
func (w *Workspace) Torn() string { return w.path("runtime", ".sheratan", "torn") }

// RelayState is the file with what the models have used, and how they failed.
func (w *Workspace) RelayState() string { return w.path("runtime", ".sheratan", "relay.json") }

// Programs caches the digests of programs.
func (w *Workspace) Programs() string { return w.path("runtime", ".sheratan", "programs.json") }

// Forbidden lists the folders that are never inside a root.
func (w *Workspace) Forbidden() []string { return []string{w.ConfigDir(), w.Runtime(), w.Missions()} }

// Rel returns path relative to the workspace, with slashes, as documents and events name it; a path outside it is
// returned as it is.
func (w *Workspace) Rel(path string) string {
	rest, ok := strings.CutPrefix(path, w.root+"/")
	if !ok {
		return path
	}
	return rest
}

// folder is one folder of the layout, with its mode in a workspace where everybody has the same user, and its mode
// where an agent with a user of its own must be able to pass through it.
type folder struct {
	name string
	mode fs.FileMode
	open fs.FileMode
}

// layout lists all folders from the top down. Traversal (the last bit) is all an agent gets above its own two folders,
// and it gets that only where the path leads there.
var layout = []folder{
	{"config", 0o700, 0o700},
	{"config/policies", 0o700, 0o700},
	{"config/kinds", 0o700, 0o700},
	{"config/trust", 0o700, 0o700},
	{"missions", 0o700, 0o700},
	{"work", 0o700, 0o700},
	{"runtime", 0o700, 0o711},
	{"runtime/inbox", 0o700, 0o711},
	{"runtime/queue", 0o700, 0o700},
	{"runtime/queue/approved", 0o700, 0o700},
	{"runtime/queue/blocked", 0o700, 0o700},
	{"runtime/outbox", 0o700, 0o711},
	{"runtime/outbox/results", 0o700, 0o700},
	{"runtime/outbox/replies", 0o700, 0o711},
	{"runtime/outbox/ledger", 0o700, 0o700},
	{"runtime/outbox/documents", 0o700, 0o700},
	{"runtime/.sheratan", 0o700, 0o700},
	{"runtime/.sheratan/claimed", 0o700, 0o700},
	{"runtime/.sheratan/claimers", 0o700, 0o700},
	{"runtime/.sheratan/private", 0o700, 0o700},
	{"runtime/.sheratan/projecting", 0o700, 0o700},
	{"runtime/.sheratan/jobs", 0o700, 0o700},
	{"runtime/.sheratan/slots", 0o700, 0o700},
	{"runtime/.sheratan/torn", 0o700, 0o700},
}
