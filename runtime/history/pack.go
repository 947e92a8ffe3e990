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
	"strings"
	"syscall"
	"time"
)

// looseSample is the number of objects in one of the 256 folders from which packing is worth its time: a commit makes
// about twelve objects, so this is some 500 commits. git gc --auto estimates in the same way.
const looseSample = 24

// Packed says what Pack did.
type Packed struct {
	Done   bool
	Reason string // why it did nothing
}

// PackDue estimates from one folder of objects whether Pack is worth its time.
func (r *Repository) PackDue() bool {
	entries, err := os.ReadDir(filepath.Join(r.git, "objects", "17"))
	return err == nil && len(entries) > looseSample
}

// Pack runs git gc, where git is installed, inside the lock of the commits, and waits for it. It ends with ctx, with all its
// processes. An interrupted gc leaves temporary files that the next one removes.
func (r *Repository) Pack(ctx context.Context) (Packed, error) {
	git, err := exec.LookPath("git")
	if err != nil {
		return Packed{Reason: "git is not installed"}, nil
	}
	if err := r.exists(); err != nil {
		return Packed{}, err
	}
	err = r.locked(ctx, func() error { return r.gcMarked(ctx, git) })
	return Packed{Done: err == nil}, err
}

// gcMarked runs gc between two syncs, with a mark that has the next Repair look through the whole history if the machine
// stops in between: git syncs a pack, and not its name before it removes the objects that went into it.
func (r *Repository) gcMarked(ctx context.Context, git string) error {
	before, err := r.suspected()
	if err != nil {
		return err
	}
	if err := errors.Join(r.Suspect(), syncFileSystem(r.git)); err != nil {
		return err
	}
	err = r.gc(ctx, git)
	if syncErr := syncFileSystem(r.git); syncErr != nil || before {
		return errors.Join(err, syncErr)
	}
	return errors.Join(err, r.cleared())
}

func (r *Repository) gc(ctx context.Context, git string) error {
	// A repository that is named is used as it is; one that git finds on its own must belong to the user (safe.directory)
	// and may be refused for having no work tree (safe.bareRepository).
	cmd := exec.CommandContext(ctx, git, "--git-dir="+r.git, "-c", "gc.packRefs=false", "-c", "gc.auto=0", "gc", "--quiet")
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
		return fmt.Errorf("git gc in %s: %w: %.500s", r.git, err, bytes.TrimSpace(output.Bytes()))
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
