package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/durable"
)

// caches gives each source caches of its own. What a compiler keeps is what later builds are made of: in a cache that all
// sources share, a job of one could put code into what those of the others, and people, run. The folder that the config names is
// never open to jobs. Where the operator has filled it, the cache of a source begins as a copy of it.
type caches struct {
	dir string     // of all sources
	mu  sync.Mutex // one copy at a time
}

// of returns the folders that a source may write to, by the shared folders in whose place they are. One that cannot be made is left
// out, and what wants to write there says so.
func (c *caches) of(shared []string, source string, user *sandbox.User) map[string]string {
	if len(shared) == 0 {
		return nil
	}
	own := make(map[string]string, len(shared))
	for _, path := range shared {
		filling := filled(path)
		whose := ""
		if user != nil {
			whose = fmt.Sprintf("\x00%d", user.UID)
		}
		name := filepath.Base(path) + "-" + short(path+"\x00"+filling+whose)
		dir := filepath.Join(c.dir, source, name)
		if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
			if c.begin(dir, path, filling != "", user) != nil {
				continue
			}
		}
		own[path] = dir
	}
	return own
}

func short(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}

// begin makes the cache of a source: a copy, which appears whole, or an empty folder. Only files and folders are copied.
// One that began with an older filling stays until it is cleared, for a job may still use it.
func (c *caches) begin(dir, shared string, full bool, user *sandbox.User) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if exists(dir) {
		return nil
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(parent, durable.TempPrefix)
	if err != nil {
		return err
	}
	if full {
		if err := os.CopyFS(temp, os.DirFS(shared)); err != nil {
			// An empty one costs time and nothing else.
			if err := errors.Join(os.RemoveAll(temp), os.Mkdir(temp, 0o700)); err != nil {
				return err
			}
		}
	}
	if err = give(temp, c.dir, user); err == nil {
		err = durable.RenameNoReplace(temp, dir)
	}
	if err != nil {
		_ = os.RemoveAll(temp)
		if errors.Is(err, fs.ErrExist) {
			return nil // another process was faster
		}
		return err
	}
	return nil
}

// give makes a cache that of the user that jobs run as, who may pass through the folders above it.
func give(dir, top string, user *sandbox.User) error {
	if user == nil {
		return nil
	}
	for _, above := range []string{filepath.Dir(top), top, filepath.Dir(dir)} {
		if err := os.Chmod(above, 0o711); err != nil {
			return err
		}
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, user.UID, user.GID)
	})
}

// filled names the filling of a shared cache, "" where it is not one that an operator made: a mark beside the folder has the name
// of this very folder. What lies there without it was written by jobs, or by nobody.
func filled(shared string) string {
	var st syscall.Stat_t
	if syscall.Stat(shared, &st) != nil {
		return ""
	}
	name := fmt.Sprintf("%x-%x", st.Ino, st.Mtim.Nano())
	if _, err := os.Lstat(markOf(shared, name)); err != nil {
		return ""
	}
	return name
}

// markOf is the file that says that an operator has filled a shared cache.
func markOf(shared, name string) string { return shared + "." + name + ".filled" }

// fill puts a folder in the place of a shared cache.
func fill(temp, shared string) error {
	old, err := filepath.Glob(markOf(globbed(shared), "*"))
	if err != nil {
		return err
	}
	for _, mark := range old {
		if err := os.Remove(mark); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(shared); err != nil {
		return err
	}
	if err := os.Rename(temp, shared); err != nil {
		return err
	}
	var st syscall.Stat_t
	if err := syscall.Stat(shared, &st); err != nil {
		return err
	}
	return os.WriteFile(markOf(shared, fmt.Sprintf("%x-%x", st.Ino, st.Mtim.Nano())), nil, 0o600)
}

// globbed quotes what filepath.Glob reads as a pattern.
func globbed(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

// WarmGo builds the standard library into the shared build cache of Go, from which the cache of each source then begins. Nothing
// of a root is read: this runs outside of the sandbox.
func (p *Pipeline) WarmGo(ctx context.Context) (shared string, err error) {
	r, err := p.Rules(ctx)
	if err != nil {
		return "", err
	}
	shared = r.Config.Host.Env["GOCACHE"]
	if shared == "" || !slices.Contains(r.Config.Sandbox.Caches, shared) {
		return "", &InputError{File: "go", Message: "GOCACHE in host.env is none of sandbox.caches, so there is nothing to fill", Way: "sheratan config show"}
	}
	program := ""
	for _, x := range r.Gates.Programs() {
		if filepath.Base(x.Name) == "go" && x.Path != "" {
			program = x.Path
		}
	}
	if program == "" {
		return "", &InputError{File: "go", Message: "no exec rule names go, or this machine does not have it", Way: "sheratan config show"}
	}
	if list, _ := os.ReadDir(shared); len(list) > 0 && filled(shared) == "" && !strings.HasPrefix(shared, p.ws.Cache()+"/") {
		return "", &InputError{File: shared, Message: "has what something else has put there, and it would be replaced", Way: "sheratan config show"}
	}
	parent := filepath.Dir(shared)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", err
	}
	temp, err := os.MkdirTemp(parent, durable.TempPrefix)
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	cache, home := filepath.Join(temp, "cache"), filepath.Join(temp, "home")
	for _, dir := range []string{cache, home} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return "", err
		}
	}
	cmd := osexec.CommandContext(ctx, program, "build", "std")
	cmd.Dir = home
	cmd.Env = append(baseEnv(r), "HOME="+home, "TMPDIR="+home, "GOCACHE="+cache, "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build std: %w: %s", err, shorten(string(out)))
	}
	return shared, fill(cache, shared)
}

// ClearCaches removes the caches of sources, of all where none is named. The next job of a source begins a new one.
func (p *Pipeline) ClearCaches(sources ...string) error {
	if len(sources) == 0 {
		return os.RemoveAll(p.caches.dir)
	}
	for _, source := range sources {
		if err := os.RemoveAll(filepath.Join(p.caches.dir, source)); err != nil {
			return err
		}
	}
	return nil
}

// inCache returns the variables that name a shared cache, or something in it, with what they are for a source.
func inCache(r *rules.Rules, own map[string]string) (env map[string]string) {
	for name, value := range r.Config.Host.Env {
		for shared, dir := range own {
			if rest, ok := strings.CutPrefix(value, shared); ok && (rest == "" || rest[0] == '/') {
				if env == nil {
					env = map[string]string{}
				}
				env[name] = dir + rest
			}
		}
	}
	return env
}
