package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

// LooseBatch is from how many loose objects packing is worth its time: a commit of a few jobs makes about twelve, one of a thousand jobs
// eighty. They are estimated from some of the 256 folders, as git gc --auto does from one.
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

// Pack has git pack the loose objects, where git is installed, and waits for it. It ends with ctx, with all its processes. Packing that
// was interrupted leaves a mark and temporary files, and Repair sees to both. Commits go on meanwhile: git removes a loose object
// only when it is in a pack that has its name, and a pack only when its objects are in another one.
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
	err = errors.Join(os.Chtimes(r.packLockPath(), now, now), r.packMarked(ctx, git), lock.Unlock())
	return Packed{Done: err == nil}, err
}

// packMarked packs between two syncs, with a mark that has the next Repair look through the whole history if that does not
// come to its end: git syncs a pack, and not its name before it removes the objects that went into it.
func (r *Repository) packMarked(ctx context.Context, git string) error {
	if err := errors.Join(r.removeOld(packLeftovers), r.markPacking(), syncFileSystem(r.git)); err != nil {
		return err
	}
	err := r.pack(ctx, git)
	if syncErr := syncFileSystem(r.git); syncErr != nil || ctx.Err() != nil {
		return errors.Join(err, syncErr, ctx.Err())
	}
	return errors.Join(err, r.unmarkPacking())
}

// Only what is loose is packed, and no pack is removed for it, until there are many: git gc would write the whole history each time.
// Then all become one, and objects that no commit has stay, for a commit that is being made may use them. The segments are mostly
// digests, of which differences save nothing: only those that were committed several times while they grew are worth the search, and
// such versions are small and lie side by side. One thread leaves the other processors to the jobs.
var (
	packConfig = []string{"-c", "gc.packRefs=false", "-c", "gc.auto=0", "-c", "pack.window=1", "-c", "core.bigFileThreshold=128k",
		"-c", "pack.compression=1", "-c", "pack.threads=1", "-c", "repack.writeBitmaps=false"}
	packLoose = []string{"repack", "-d", "-l", "-n", "-q"}
	packAll   = []string{"repack", "-a", "-d", "-k", "-l", "-n", "-q"}
)

// manyPacks is from how many packs they are made into one.
const manyPacks = 50

func (r *Repository) pack(ctx context.Context, git string) error {
	packs, err := filepath.Glob(filepath.Join(r.git, "objects", "pack", "*.pack"))
	if err != nil {
		return err
	}
	if len(packs) < manyPacks {
		if err := r.runGit(ctx, git, packLoose); err != nil || !r.PackDue() {
			return err
		}
		// What is left belongs to no commit: to those of a branch that was replaced.
	}
	return r.runGit(ctx, git, packAll)
}

func (r *Repository) runGit(ctx context.Context, git string, command []string) error {
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
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output

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
		return fmt.Errorf("git %s in %s: %w: %.500s", command[0], r.git, err, bytes.TrimSpace(output.Bytes()))
	}
	return nil
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
