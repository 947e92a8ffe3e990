package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sheratan/sheratan/runtime/durable"
)

// LooseBatch is from how many loose objects packing is worth its time: a commit of a few jobs makes about twelve, one of a
// thousand jobs eighty. They are estimated from some of the 256 folders, as git gc --auto does from one.
const LooseBatch = 12 * 256 / 4

var sampled = []string{"17", "5b", "a0", "e4"}

// Packed says what Pack did.
type Packed struct {
	Done   bool
	Reason string // why it did nothing; "" where another process is packing
}

// Loose estimates from a few folders of objects how many are loose.
func (r *Repository) Loose() int {
	n := 0
	for _, name := range sampled {
		entries, err := os.ReadDir(filepath.Join(r.git, "objects", name))
		if err == nil {
			n += len(entries)
		}
	}
	return n * 256 / len(sampled)
}

// PackDue reports whether Pack is worth its time.
func (r *Repository) PackDue() bool { return r.Loose() > LooseBatch }

// Pack has git pack the loose objects, where git is installed, and waits for it. It ends with ctx. Commits go on meanwhile,
// and whoever is killed, or loses its power, leaves no damage: a loose object goes only when it is in a pack that is on the
// disk and has its name, and a pack only when its objects are in such a one.
func (r *Repository) Pack(ctx context.Context) (Packed, error) {
	git, err := exec.LookPath("git")
	if err != nil {
		return Packed{Reason: "git is not installed"}, nil
	}
	if err := r.exists(); err != nil {
		return Packed{}, err
	}
	lock, err := r.lockPacking()
	if errors.Is(err, durable.ErrLocked) {
		return Packed{}, nil
	}
	if err != nil {
		return Packed{}, err
	}
	now := time.Now()
	err = errors.Join(os.Chtimes(r.packLockPath(), now, now), r.pack(ctx, git), lock.Unlock())
	return Packed{Done: err == nil}, err
}

// Only what is loose is packed, and no pack is removed for it, until there are many: git gc would write the whole history
// each time. Then all become one, and objects that no commit has stay, for a commit that is being made may use them. The
// segments are mostly digests, of which differences save nothing: only those that were committed several times while they
// grew are worth the search, and such versions are small and lie side by side. One thread leaves the other processors to the
// jobs.
//
// git repack would do the same with processes of its own. They outlive it where it is killed, and finish a pack under a
// temporary name, .tmp-1-pack-*.idx, which each later git takes for a pack: it removes the loose objects for it, and nobody
// gives it its name.
var (
	packConfig = []string{"-c", "pack.window=1", "-c", "core.bigFileThreshold=128k", "-c", "pack.compression=1", "-c", "pack.threads=1"}
	packLoose  = []string{"--unpacked", "--incremental"}
	packAll    = []string{"--keep-unreachable", "--pack-loose-unreachable"}
)

// manyPacks is from how many packs they are made into one.
const manyPacks = 50

func (r *Repository) pack(ctx context.Context, git string) error {
	if err := r.sweepPacks(); err != nil {
		return err
	}
	packs, err := r.packs()
	if err == nil && len(packs) < manyPacks {
		if _, err := r.makePack(ctx, git, packLoose); err != nil || !r.PackDue() {
			return err
		}
		// What is left belongs to no commit: to those of a branch that was replaced.
		packs, err = r.packs()
	}
	if err != nil {
		return err
	}
	return r.replacePacks(ctx, git, packs)
}

// packFiles lists the files of the folder of packs that match a pattern.
func packFiles(git, pattern string) (paths []string, err error) {
	dir := filepath.Join(git, "objects", "pack")
	names, err := fs.Glob(os.DirFS(dir), pattern)
	for _, name := range names {
		paths = append(paths, filepath.Join(dir, name))
	}
	return paths, err
}

// packs lists the packs that may be replaced, by the paths of their indexes.
func (r *Repository) packs() ([]string, error) {
	list, err := packFiles(r.git, "pack-*.idx")
	return slices.DeleteFunc(list, func(path string) bool {
		_, err := os.Lstat(strings.TrimSuffix(path, "idx") + "keep") // somebody's wish, or a fetch at work
		return err == nil
	}), err
}

// replacePacks makes one pack of these and of all that is loose.
func (r *Repository) replacePacks(ctx context.Context, git string, packs []string) error {
	made, err := r.makePack(ctx, git, packAll)
	if err != nil || len(made) == 0 {
		return err
	}
	// Where somebody has made an index of several packs, git looks for them there.
	if err := removeFile(filepath.Join(r.git, "objects", "pack", "multi-pack-index")); err != nil {
		return err
	}
	for _, index := range packs {
		stem := strings.TrimSuffix(filepath.Base(index), ".idx")
		if slices.Contains(made, strings.TrimPrefix(stem, "pack-")) {
			continue
		}
		others, err := packFiles(r.git, stem+".*")
		if err != nil {
			return err
		}
		for _, path := range append([]string{index}, others...) { // without its index it is no pack any more
			if err := removeFile(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// makePack has git make a pack, then removes the loose objects that are in packs. It returns the hashes that name the packs,
// none where there was nothing to pack.
func (r *Repository) makePack(ctx context.Context, git string, what []string) ([]string, error) {
	into := filepath.Join(r.git, "objects", "pack", "pack")
	made, err := r.runGit(ctx, git, slices.Concat([]string{"pack-objects", "--all", "--reflog", "--indexed-objects",
		"--keep-true-parents", "--honor-pack-keep", "--local", "--non-empty", "--delta-base-offset", "-q"}, what, []string{into}))
	if err == nil {
		err = syncFileSystem(r.git) // git syncs a pack, and not its name
	}
	if err == nil {
		_, err = r.runGit(ctx, git, []string{"prune-packed", "-q"})
	}
	return strings.Fields(made), err
}

func (r *Repository) runGit(ctx context.Context, git string, command []string) (stdout string, err error) {
	// A repository that is named is used as it is; one that git finds on its own must belong to the user (safe.directory)
	// and may be refused for having no work tree (safe.bareRepository).
	cmd := exec.CommandContext(ctx, git, slices.Concat([]string{"--git-dir=" + r.git}, packConfig, command)...)
	cmd.Dir = r.git
	cmd.Env = append(cleanEnv(os.Environ()), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull, "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
	cmd.WaitDelay = 5 * time.Second
	var output, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &complaint

	// The signal of a dying parent comes when the thread ends that started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			if cmd.Process != nil {
				syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // those that did not listen
			}
			err = ctx.Err()
		}
		return "", fmt.Errorf("git %s in %s: %w: %.500s", command[0], r.git, err, bytes.TrimSpace(complaint.Bytes()))
	}
	return output.String(), nil
}

// cleanEnv drops what would send git to another repository or another configuration.
func cleanEnv(env []string) []string {
	var kept []string
	for _, e := range env {
		if !strings.HasPrefix(e, "GIT_") {
			kept = append(kept, e)
		}
	}
	return kept
}
