package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sheratan/sheratan/hosts/sandbox"
)

// markerPath is where the start marker of an attempt lies.
func markerPath(workDir, id string, attempt int) string {
	return filepath.Join(workDir, "started", id+"."+strconv.Itoa(attempt))
}

// mark leaves the start marker of an attempt. It is a further name of one empty file, where the file system has that:
// this costs a third of a new file. It is not synced. It has to survive a crash of this process, not of the machine:
// after a reboot an attempt counts as started anyway.
func (a *Agent) mark(id string, attempt int) error {
	marker := markerPath(a.opt.WorkDir, id, attempt)
	base := filepath.Join(filepath.Dir(marker), ".base")
	err := os.Link(base, marker)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(marker), 0o700); err == nil {
			if err = os.WriteFile(base, nil, 0o600); err == nil {
				err = os.Link(base, marker)
			}
		}
	}
	if err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	if errors.Is(err, unix.EMLINK) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOTSUP) {
		err = os.WriteFile(marker, nil, 0o600)
	}
	if err != nil {
		os.Remove(marker) // one that was made all the same would tell of a start
		return fmt.Errorf("start marker: %w", err)
	}
	return nil
}

// Marked reports whether an attempt was started and not forgotten: its job may have had effects.
func Marked(workDir, id string, attempt int) (bool, error) {
	_, err := os.Lstat(markerPath(workDir, id, attempt))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return false, nil
	}
	return err == nil, err
}

// Forget removes the start marker of an attempt. It must come after the event with the attempt's outcome is committed.
// Nothing to remove is no error.
func Forget(workDir, id string, attempt int) error {
	err := os.Remove(markerPath(workDir, id, attempt))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	return err
}

// Clean ends what a runner that died left running of an attempt, for recovery: the kernel ended the job's first process
// with the runner, but not what that one had started. It returns how many processes were killed, and an error where one
// would not die. The marker stays; Forget it when the outcome is recorded.
func Clean(workDir, id string, attempt int) (killed int, err error) {
	killed, left := sandbox.Sweep(attemptMark(workDir, id, attempt))
	if left > 0 {
		return killed, fmt.Errorf("job %s, attempt %d: %d processes would not die", id, attempt, left)
	}
	return killed, nil
}

// Begun lists the attempts that have a start marker, as job id and number.
func Begun(workDir string) (list map[string][]int, err error) {
	names, err := os.ReadDir(filepath.Dir(markerPath(workDir, "x", 1)))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	list = map[string][]int{}
	for _, n := range names {
		dot := strings.LastIndexByte(n.Name(), '.')
		if number, convErr := strconv.Atoi(n.Name()[dot+1:]); dot > 0 && convErr == nil {
			list[n.Name()[:dot]] = append(list[n.Name()[:dot]], number)
		}
	}
	return list, err
}
