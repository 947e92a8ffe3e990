package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/workspace"
	"github.com/sheratan/sheratan/schemas"
)

// trialArg makes the test binary a process that dies: test-trial DIR LINE.
const trialArg = "test-trial"

// dieInTrial takes in what lies in a workspace, and dies like one that the kernel kills while it judges something: with "claim" as soon
// as it has a claim, with a number once it has begun to try that line of one. The clock is where it can be caught: what is judged is
// stamped.
func dieInTrial(dir, when string) {
	ws, err := workspace.Open(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	p, err := Open(context.Background(), ws, Options{NoCommit: true, Now: func() time.Time {
		pattern := filepath.Join(dir, "runtime/.sheratan/trials/*")
		if when == "claim" {
			pattern = filepath.Join(dir, "runtime/.sheratan/claimed/*")
		}
		for _, f := range glob(pattern) {
			if b, err := os.ReadFile(f); when == "claim" || err == nil && string(b) == when {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
		return time.Now()
	}})
	if err == nil {
		_, err = p.Gate(context.Background(), GateOptions{Settle: true}, nil)
	}
	fmt.Fprintln(os.Stderr, "survived:", err)
	os.Exit(1)
}

func glob(pattern string) []string {
	list, _ := filepath.Glob(pattern)
	return list
}

// die runs a process that dies so.
func (w *world) die(when string) {
	w.t.Helper()
	cmd := osexec.Command(os.Args[0], trialArg, w.ws.Root(), when)
	out, err := cmd.CombinedOutput()
	var exit *osexec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		w.t.Fatalf("%v: %s", err, out)
	}
}

// A proposal that two processes died of is set aside, and no third one reads it. What lay beside it runs, in the same file as well.
func TestDiedTwice(t *testing.T) {
	for name, lines := range map[string]bool{"one proposal": false, "lines": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			poison := noop("poison", "")
			text, line := poison, "1"
			file := "a.json"
			if lines {
				text, line = strings.Join([]string{noop("before", ""), poison, noop("after", "")}, "\n"), "2"
				file = "a.jsonl"
			}
			w.drop("operator", file, text)
			w.drop("operator", "b.json", noop("beside", ""))
			if lines {
				old := time.Now().Add(-time.Minute)
				w.check(os.Chtimes(filepath.Join(w.ws.InboxOf("operator"), file), old, old))
				time.Sleep(workspace.SettleTime) // ctime is no program's to set
			}
			w.die("claim")
			w.die(line)
			claimed := w.claimed()
			var blocked []GateLine
			_, err := w.p.Gate(t.Context(), GateOptions{Settle: true}, func(l GateLine) error {
				if l.Status == string(job.StatusQuarantined) {
					blocked = append(blocked, l)
				}
				return nil
			})
			w.check(err)
			if len(blocked) != 1 || blocked[0].Reports[0].Reasons[0].Code != gates.CodePipelineError {
				t.Fatalf("blocked: %+v", blocked)
			}
			// The process that set it aside may die before it lets go of the claim. The next one knows nothing of it, and survives it.
			w.claimAgain(claimed)
			w.tick()
			kept, err := os.ReadFile(w.ws.PrivateDocument(blocked[0].JobID))
			if err != nil || string(kept) != poison {
				t.Errorf("kept: %q, %v", kept, err)
			}
			w.is("beside", job.StatusCompleted, "")
			if lines {
				w.is("before", job.StatusCompleted, "")
				w.is("after", job.StatusCompleted, "")
			}
			if left := glob(filepath.Join(w.ws.Root(), "runtime/.sheratan/trials/*")); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// claimed returns the files in claimed/ by their paths.
func (w *world) claimed() map[string][]byte {
	w.t.Helper()
	files := map[string][]byte{}
	for _, path := range glob(filepath.Join(w.ws.ClaimedDir(), "*")) {
		b, err := os.ReadFile(path)
		w.check(err)
		files[path] = b
	}
	if len(files) == 0 {
		w.t.Fatal("nothing is claimed")
	}
	return files
}

// claimAgain is as if the process that took these claims up had died before it let go of them.
func (w *world) claimAgain(claimed map[string][]byte) {
	w.t.Helper()
	for _, raw := range glob(filepath.Join(w.ws.Blocked("*"), "raw")) {
		w.check(os.Remove(raw))
	}
	for path, b := range claimed {
		w.check(os.WriteFile(path, b, 0o600))
	}
}

// A line that is too long is in no document. Its file is kept, also where the process dies that has put the line into the ledger.
func TestDiedBeforeAFileWasKept(t *testing.T) {
	w := newWorld(t)
	blank := strings.Repeat(" ", schemas.DefaultLimits.Bytes+100_000) // is no proposal, however long
	text := blank + "\n" + noop("before", "") + "\n" + strings.Repeat("x", schemas.DefaultLimits.Bytes+100_000) + "\n" + noop("after", "") + "\n"
	w.drop("operator", "a.ready.jsonl", text)
	w.die("claim")
	claimed := w.claimed()
	w.tick()
	w.claimAgain(claimed)
	w.tick()
	w.is("after", job.StatusCompleted, "")
	raw := glob(filepath.Join(w.ws.Blocked("*"), "raw"))
	if len(raw) != 1 {
		t.Fatalf("kept: %v", raw)
	}
	if b, err := os.ReadFile(raw[0]); err != nil || string(b) != text {
		t.Errorf("kept: %d bytes, %v", len(b), err)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(raw[0]), "report.json")); err != nil {
		t.Errorf("it lies beside no job: %v", err)
	}
}

// One that a process died beside, and not of, is taken up like any other.
func TestDiedOnce(t *testing.T) {
	w := newWorld(t)
	w.drop("operator", "a.json", noop("a", ""))
	w.die("claim")
	w.tick()
	w.is("a", job.StatusCompleted, "")
}
