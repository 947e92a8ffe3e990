package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sheratan/sheratan/hosts/roots"
	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/pipeline/job"
)

// Codes of results of jobs whose declared outputs could not be kept. Those of hosts/roots come as they are.
const (
	CodeArtifactMissing = "ARTIFACT_MISSING"   // a declared output is not there
	CodeArtifactLarge   = "ARTIFACT_TOO_LARGE" // they are more bytes than limits.artifact_bytes
	CodeArtifactMany    = "ARTIFACTS_TOO_MANY" // they are more files than limits.artifacts
	CodeArtifact        = "ARTIFACT"           // one could not be stored
)

// place is a folder in which outputs are looked for.
type place struct {
	roots *roots.Roots
	dir   string
}

// collection copies what one attempt left into its folder of artifacts.
type collection struct {
	a      *Agent
	places []place
	dir    string // where the copies go
	left   int64  // bytes that may still be copied
	kept   []job.Artifact
	seen   map[string]bool
	hides  *hiding
}

// collect keeps the outputs that a job declared: of each, what is in its private folder, which is all that a confined job can
// be sure to write in, or else what is in the folder cwd. "" is that there is no such folder, or the first root. Where an
// output that has to be there is not, or they are too large, nothing is kept, and a success is none.
func (a *Agent) collect(ctx context.Context, j job.Job, private, cwd string, res *job.Result, fail *failure) *failure {
	var wanted []job.Declared
	for _, d := range j.Outputs {
		if fail == nil || d.OnFailure {
			wanted = append(wanted, d)
		}
	}
	if len(wanted) == 0 {
		return fail
	}
	if a.opt.Artifacts == nil {
		return worse(fail, failed(CodeRefused, false, "this host keeps no artifacts"))
	}
	if cwd == "" {
		cwd = a.opt.Roots.Paths()[0]
	}
	places := []place{{a.opt.Roots, cwd}}
	if private != "" {
		own, err := roots.Open(private, []string{private}, nil)
		if err != nil {
			return worse(fail, failed(CodeArtifact, true, "artifacts: %v", err))
		}
		defer own.Close()
		places = []place{{own, own.Paths()[0]}, places[0]}
	}
	c := &collection{a: a, places: places, dir: a.opt.Artifacts(j.ID, res.Attempt), left: a.opt.ArtifactBytes, seen: map[string]bool{}, hides: hidingOf(j)}
	if err := os.RemoveAll(c.dir); err != nil { // what a crash left of an attempt of that number
		return worse(fail, failed(CodeArtifact, true, "artifacts: %v", err))
	}
	for _, d := range wanted {
		d.Optional = d.Optional || fail != nil
		if problem := c.declared(ctx, d); problem != nil {
			os.RemoveAll(c.dir) // it is not named by anything
			return worse(fail, problem)
		}
	}
	res.Artifacts = c.kept
	return fail
}

// worse is the failure that a result tells: an earlier one goes before what came of it.
func worse(first, second *failure) *failure {
	if first != nil {
		return first
	}
	return second
}

func (c *collection) declared(ctx context.Context, d job.Declared) *failure {
	if err := d.Check(); err != nil {
		return failed(CodeRefused, false, "output %q: %v", d.Path, err)
	}
	for _, from := range c.places {
		if found, fail := c.search(ctx, from, d); found || fail != nil {
			return fail
		}
	}
	if d.Optional {
		return nil
	}
	return failed(CodeArtifactMissing, true, "output %q: there is no such file in %s; write it, or declare it optional: "+
		`{"path": %q, "optional": true}`, d.Path, c.where(), d.Path)
}

// where names the places for people.
func (c *collection) where() string {
	cwd := c.places[len(c.places)-1].dir
	if len(c.places) > 1 {
		return "$SHERATAN_WORK or " + cwd
	}
	return cwd
}

// search keeps what one place has of a declared output, and reports whether that is anything.
func (c *collection) search(ctx context.Context, from place, d job.Declared) (found bool, fail *failure) {
	if !d.Pattern() {
		return c.file(from, d.Path)
	}
	err := from.roots.Glob(from.dir, d.Path, func(name string) error {
		var there bool
		if ctx.Err() != nil {
			fail = failed(CodeCancelled, true, "cancelled")
		} else {
			there, fail = c.file(from, name)
		}
		found = found || there
		if fail != nil {
			return errEnough
		}
		return nil
	})
	if err != nil && fail == nil {
		fail = outputFailure(d.Path, err)
	}
	return found, fail
}

// errEnough ends a search.
var errEnough = errors.New("enough")

func (c *collection) tooMany() *failure {
	return failed(CodeArtifactMany, false, "outputs: more than %d files; declare fewer, or raise limits.artifacts", c.a.opt.ArtifactCount)
}

// file keeps one file, and reports whether it is there.
func (c *collection) file(from place, name string) (bool, *failure) {
	name = strings.TrimPrefix(filepath.ToSlash(filepath.Clean(name)), "./")
	if c.seen[name] {
		return true, nil
	}
	if !filepath.IsLocal(name) {
		return false, failed(string(roots.Traversal), false, "output %q: leads out of the folder that the job works in", name)
	}
	in, err := from.roots.OpenPlain(from.dir + "/" + name)
	var p *roots.PathError
	if errors.As(err, &p) && p.Code == roots.NotFound {
		return false, nil
	}
	if err != nil {
		return false, outputFailure(name, err)
	}
	defer in.Close()
	if !mayRead(in, c.a.opt.User) {
		return false, failed(CodeArtifact, false, "output %q: the user that jobs run as may not read it", name)
	}
	if c.hides.text(name) != name {
		return false, failed(CodeArtifact, false, "output %q: its name has what an operator has waived for this job only", name)
	}
	if n := c.a.opt.ArtifactCount; n > 0 && len(c.kept) >= n {
		return false, c.tooMany()
	}
	kept := job.Artifact{Name: name}
	to := filepath.Join(c.dir, filepath.FromSlash(name))
	if kept.Bytes, kept.SHA256, err = c.copy(in, to); errors.Is(err, errUnsearched) {
		return false, failed(CodeArtifactLarge, false, "output %q: %v", name, err)
	} else if err != nil {
		return false, failed(CodeArtifact, true, "output %q: %v", name, err)
	}
	if c.a.opt.ArtifactBytes > 0 {
		if c.left -= kept.Bytes; c.left < 0 {
			return false, failed(CodeArtifactLarge, false, "output %q: with it the outputs are more than %d bytes; write less, or raise "+
				"limits.artifact_bytes", name, c.a.opt.ArtifactBytes)
		}
	}
	rel, err := filepath.Rel(c.a.opt.Workspace, to)
	if err != nil {
		return false, failed(CodeArtifact, false, "output %q: %v", name, err)
	}
	kept.Path = filepath.ToSlash(rel)
	c.seen[name] = true
	c.kept = append(c.kept, kept)
	return true, nil
}

// mayRead reports whether the user of the jobs may read a file. Who may not can have given it a further name all the same.
func mayRead(f *os.File, user *sandbox.User) bool {
	if user == nil {
		return true
	}
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil {
		return false
	}
	shift := 0
	switch {
	case int(st.Uid) == user.UID:
		shift = 6
	case int(st.Gid) == user.GID, slices.Contains(user.Groups, int(st.Gid)):
		shift = 3
	}
	return st.Mode>>shift&4 != 0
}

// copy copies one file, at most one byte more than may be kept: what is larger is measured by that and not stored.
func (c *collection) copy(in *os.File, to string) (n int64, sum string, err error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return 0, "", err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, "", err
	}
	var from io.Reader = in
	if c.hides != nil {
		clean, err := c.hides.file(in)
		if err != nil {
			return 0, "", errors.Join(err, out.Close())
		}
		from = bytes.NewReader(clean)
	}
	if c.a.opt.ArtifactBytes > 0 {
		from = io.LimitReader(from, c.left+1)
	}
	h := sha256.New()
	n, err = io.Copy(io.MultiWriter(out, h), from)
	return n, hex.EncodeToString(h.Sum(nil)), errors.Join(err, out.Close())
}

// outputFailure names the output in front of what is wrong with it.
func outputFailure(name string, err error) *failure {
	f := pathFailure(err)
	var p *roots.PathError
	if errors.As(err, &p) {
		f.text = fmt.Sprintf("output %q: %s", name, p.Message)
	}
	return f
}
