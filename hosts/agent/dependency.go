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
// gets there.
func (a *Agent) provide(folder string, deps []Dependency) *failure {
	left := a.opt.DependencyBytes
	for _, d := range deps {
		if !job.ValidID(d.ID) {
			return failed(CodeRefused, false, "dependency %q: not an identifier", d.ID)
		}
		if d.Problem != "" {
			return failed(CodeDependencyGone, false, "dependency %s: %s; sheratan retry %s makes it anew", d.ID, d.Problem, d.ID)
		}
		dir := filepath.Join(folder, depsFolder, d.ID)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return failed(CodeWorkFolder, true, "%v", err)
		}
		if err := os.WriteFile(filepath.Join(dir, "result.json"), append(d.Result, '\n'), 0o400); err != nil {
			return failed(CodeWorkFolder, true, "%v", err)
		}
		if left -= int64(len(d.Result)); left < 0 && a.opt.DependencyBytes > 0 {
			return a.tooMuch(d.ID)
		}
		for _, f := range d.Files {
			if !filepath.IsLocal(filepath.FromSlash(f.Name)) {
				return failed(CodeRefused, false, "dependency %s: %q is no name for a file", d.ID, f.Name)
			}
			n, fail := a.copyFile(f, filepath.Join(dir, filepath.FromSlash(f.Name)), left)
			if fail != nil {
				fail.text = "dependency " + d.ID + ": " + fail.text
				return fail
			}
			if left -= n; left < 0 && a.opt.DependencyBytes > 0 {
				return a.tooMuch(d.ID)
			}
		}
	}
	return a.seal(filepath.Join(folder, depsFolder))
}

func (a *Agent) tooMuch(id string) *failure {
	return failed(CodeDependencyLarge, false, "dependencies: with %s there are more than %d bytes; raise limits.dependency_bytes, or let it "+
		"leave less", id, a.opt.DependencyBytes)
}

// copyFile copies one file and returns its length. Of a longer one than room (where that is limited) it copies one byte more.
func (a *Agent) copyFile(f DependencyFile, to string, room int64) (int64, *failure) {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return 0, failed(CodeWorkFolder, true, "%v", err)
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
	if err != nil {
		return 0, failed(CodeWorkFolder, true, "%v", err)
	}
	defer out.Close()
	if f.Path == "" {
		return 0, nil
	}
	// What lies under the name now may be anything; a FIFO would never end.
	in, err := os.OpenFile(f.Path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, failed(CodeDependencyGone, false, "%s is not there any more", f.Path)
	}
	if err != nil {
		return 0, failed(CodeDependencyDigest, false, "%v", err)
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0, failed(CodeDependencyDigest, false, "%s is not a regular file", f.Path)
	}
	var from io.Reader = in
	if a.opt.DependencyBytes > 0 {
		from = io.LimitReader(in, max(0, room)+1)
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, h), from)
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		return n, failed(CodeWorkFolder, true, "%v", err)
	}
	if n > room && a.opt.DependencyBytes > 0 {
		return n, nil
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != f.SHA256 {
		return n, failed(CodeDependencyDigest, false, "%s has the SHA-256 %.12s, and the ledger names %.12s", f.Path, got, f.SHA256)
	}
	return n, nil
}

// seal takes the right to write from the folders. It is no protection, the files are the job's own: it is there so that a
// program that writes into the wrong place says so.
func (a *Agent) seal(dir string) *failure {
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			err = os.Chmod(path, 0o500)
		}
		return err
	})
	if err != nil {
		return failed(CodeWorkFolder, true, "%v", err)
	}
	return nil
}

// depsEnv is the variable that names the folder of dependencies.
func depsEnv(folder string) string {
	return fmt.Sprintf("SHERATAN_DEPS=%s", filepath.Join(folder, depsFolder))
}
