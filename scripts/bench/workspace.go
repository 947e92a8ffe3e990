package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/runtime/workspace"
)

// space is a workspace of the benchmark.
type space struct {
	*workspace.Workspace
	bin string
}

// newSpace makes a workspace as init does, with this many slots and no limits for any source. Programs run at the level
// that init chose.
func (b *bench) newSpace(ctx context.Context, name string, slots int) (space, error) {
	return b.newSpaceAt(ctx, name, slots, "")
}

// newSpaceAt is newSpace with another level of the sandbox.
func (b *bench) newSpaceAt(ctx context.Context, name string, slots int, level sandbox.Level) (space, error) {
	dir := filepath.Join(b.scratch, name)
	if err := (command{args: []string{b.bin, "init", dir}}).run(ctx); err != nil {
		return space{}, err
	}
	s := space{workspace.At(dir), b.bin}
	return s, s.configure(func(config map[string]any) {
		free := map[string]any{"max_jobs_per_minute": 0, "max_concurrent_jobs": 0, "max_priority": "critical"}
		config["sources"] = map[string]any{"*": free, "operator": free}
		config["host"] = map[string]any{"max_concurrent": slots}
		if level != "" {
			config["sandbox"] = map[string]any{"minimum": level, "level": level}
		}
	})
}

// configure changes the config of the workspace.
func (s space) configure(change func(config map[string]any)) error {
	raw, err := os.ReadFile(s.Config())
	if err != nil {
		return err
	}
	var config map[string]any
	if err := json.Unmarshal(raw, &config); err != nil {
		return fmt.Errorf("%s: %w", s.Config(), err)
	}
	change(config)
	if raw, err = json.Marshal(config); err != nil {
		return err
	}
	return os.WriteFile(s.Config(), raw, 0o600)
}

// command is a call of the binary in the workspace.
func (s space) command(args ...string) command {
	return command{dir: s.Root(), args: append([]string{s.bin}, args...)}
}

// submit hands in proposals, one line each.
func (s space) submit(ctx context.Context, proposals string, args ...string) error {
	c := s.command(append([]string{"submit", "-"}, args...)...)
	c.stdin = proposals
	return c.run(ctx)
}

const (
	noop     = `{"payload":{"kind":"noop","params":{}}}` + "\n"
	execTrue = `{"payload":{"kind":"exec","params":{"argv":["true"]}}}` + "\n"
)

// kilobyte is a proposal of 1,024 bytes that the gates approve.
func kilobyte() string {
	const head, tail = `{"payload":{"kind":"exec","params":{"argv":["echo"`, `]}},"priority":"normal","task_id":"nightly-report","timeout_seconds":60}`
	var args strings.Builder
	room := 1024 - len(head) - len(tail)
	for i := 0; room-args.Len() >= 64; i++ {
		fmt.Fprintf(&args, `,"line %d of the report about modules/core"`, i)
	}
	return head + args.String() + `,"` + strings.Repeat("x", room-args.Len()-3) + `"` + tail + "\n"
}

// completed makes sure that the workspace has exactly n jobs that came to a good end, and no other.
func (s space) completed(n int) error {
	out, err := exec.Command(s.bin, "--workspace", s.Root(), "--json", "status").Output()
	if err != nil {
		return fmt.Errorf("status: %w", err)
	}
	var status struct{ Jobs map[string]int }
	if err := json.Unmarshal(out, &status); err != nil {
		return fmt.Errorf("status: %w", err)
	}
	for state, count := range status.Jobs {
		if state != "completed" && count > 0 || state == "completed" && count != n {
			return fmt.Errorf("%d jobs are %s; %d should be completed and none anything else", count, state, n)
		}
	}
	return nil
}
