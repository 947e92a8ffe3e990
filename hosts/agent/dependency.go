package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/sheratan/sheratan/pipeline/job"
)

// Codes of results of jobs that could not be given what their dependencies left. None of them is mended by another attempt.
const (
	CodeDependencyDigest = "DEPENDENCY_DIGEST"    // a file is not the one that the ledger names
	CodeDependencyGone   = "DEPENDENCY_MISSING"   // a file or result is not there any more
	CodeDependencyLarge  = "DEPENDENCY_TOO_LARGE" // there is more of it than limits.dependency_bytes
)

// Dependency is what a completed job left for one that depends on it. The job finds it in its work folder:
//
//	deps/ID/result.json   the result document
//	deps/ID/stdout        and stderr, empty where nothing was written
//	deps/ID/artifacts/    what the result names beside these
//
// These are copies: what a job does to them reaches nobody else.
type Dependency struct {
	ID      string
	Result  []byte
	Files   []DependencyFile
	Problem string // why it cannot be given; "" is that it can
}

// DependencyFile is a file that a result names.
type DependencyFile struct {
	Name   string // below deps/ID, with /
	Path   string // absolute; "" is an empty file
	SHA256 string // of what has to be there
}

// depsFolder is the folder of dependencies in a work folder.
const depsFolder = "deps"

// provide copies what dependencies left into the folder of an attempt. Only content with the digest that the ledger names
// gets there. A job can have hundreds of dependencies, and what a file system takes longest for is new files: nothing is made
// twice, and all files without content are one.
func (a *Agent) provide(folder string, deps []Dependency) *failure {
	top := filepath.Join(folder, depsFolder)
	p := provision{left: a.opt.DependencyBytes, limited: a.opt.DependencyBytes > 0}
	if err := p.folder(top); err != nil {
		return unlessFault(err, CodeWorkFolder, true)
	}
	for _, d := range deps {
		if fail := p.add(filepath.Join(top, d.ID), d); fail != nil {
			return fail
		}
		if p.limited && p.left < 0 {
			return failed(CodeDependencyLarge, false, "dependencies: with %s there are more than %d bytes; raise limits.dependency_bytes, "+
				"or let it leave less", d.ID, a.opt.DependencyBytes)
		}
	}
	return p.seal()
}

// provision is what one attempt is given.
type provision struct {
	left    int64 // bytes; below zero there was more than that
	limited bool
	made    map[string]bool // folders
	empty   string          // a file without content
}

// folder makes a folder, and those above it, below the work folder.
func (p *provision) folder(dir string) error {
	if p.made[dir] {
		return nil
	}
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err = p.folder(filepath.Dir(dir)); err == nil {
			err = os.Mkdir(dir, 0o700)
		}
	}
	if p.made == nil {
		p.made = map[string]bool{}
	}
	p.made[dir] = err == nil
	return err
}

// add makes the folder of one dependency.
func (p *provision) add(dir string, d Dependency) *failure {
	if !job.ValidID(d.ID) {
		return failed(CodeRefused, false, "dependency %q: not an identifier", d.ID)
	}
	if d.Problem != "" {
		return failed(CodeDependencyGone, false, "dependency %s: %s; sheratan retry %s makes it anew", d.ID, d.Problem, d.ID)
	}
	err := p.folder(dir)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "result.json"), append(d.Result, '\n'), 0o400)
	}
	if err != nil {
		return unlessFault(err, CodeWorkFolder, true)
	}
	p.left -= int64(len(d.Result))
	for _, f := range d.Files {
		if p.limited && p.left < 0 {
			return nil
		}
		name := filepath.FromSlash(f.Name)
		if !filepath.IsLocal(name) {
			return failed(CodeRefused, false, "dependency %s: %q is no name for a file", d.ID, f.Name)
		}
		if fail := p.copyFile(f, filepath.Join(dir, name)); fail != nil {
			fail.text = "dependency " + d.ID + ": " + fail.text
			return fail
		}
	}
	return nil
}

// emptyFile makes a file without content, by a further name for the one that is there. Only this attempt has it.
func (p *provision) emptyFile(to string) error {
	if p.empty != "" && os.Link(p.empty, to) == nil {
		return nil
	}
	p.empty = to
	return os.WriteFile(to, nil, 0o400)
}

// copyFile copies one file. Of a longer one than what is left it copies one byte more.
func (p *provision) copyFile(f DependencyFile, to string) *failure {
	err := p.folder(filepath.Dir(to))
	if err == nil && f.Path == "" {
		err = p.emptyFile(to)
	}
	if err != nil {
		return unlessFault(err, CodeWorkFolder, true)
	}
	if f.Path == "" {
		return nil
	}
	// What lies under the name now may be anything; a FIFO would never end.
	in, err := os.OpenFile(f.Path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return failed(CodeDependencyGone, false, "%s is not there any more", f.Path)
	}
	if err != nil {
		return unlessFault(err, CodeDependencyDigest, false)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return failed(CodeDependencyDigest, false, "%s is not a regular file", f.Path)
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
	if err != nil {
		return unlessFault(err, CodeWorkFolder, true)
	}
	defer out.Close()
	var from io.Reader = in
	if p.limited {
		from = io.LimitReader(in, p.left+1)
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, h), from)
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		return unlessFault(err, CodeWorkFolder, true)
	}
	if p.left -= n; p.limited && p.left < 0 {
		return nil
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != f.SHA256 {
		return failed(CodeDependencyDigest, false, "%s has the SHA-256 %.12s, and the ledger names %.12s", f.Path, got, f.SHA256)
	}
	return nil
}

// seal takes the right to write from the folders. It is no protection, the files are the job's own: it is there so that a
// program that writes into the wrong place says so.
func (p *provision) seal() *failure {
	for dir := range p.made {
		if err := os.Chmod(dir, 0o500); err != nil {
			return failed(CodeWorkFolder, true, "%v", err)
		}
	}
	return nil
}

// depsEnv is the variable that names the folder of dependencies.
func depsEnv(folder string) string {
	return fmt.Sprintf("SHERATAN_DEPS=%s", filepath.Join(folder, depsFolder))
}
