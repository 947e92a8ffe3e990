package stress_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// planner answers to the plans of a goal: three jobs of which one is refused, the same in another form, and that it is done. The
// ids of the jobs follow from that of the goal.
const planner = `#!/bin/sh
text=$(cat)
sleep 0.1
goal=$(printf %s "$text" | sed -n 's/.*\\"id\\": \\"\(goal-[0-9]*\)-NAME.*/\1/p' | head -n 1)
case $text in
*'This is plan 1 of'*) cat <<END
{"summary": "begun", "done": false, "proposals": [
 {"id": "$goal-a", "payload": {"kind": "exec", "params": {"argv": ["wc", "-l", "in.txt"]}}},
 {"id": "$goal-b", "payload": {"kind": "exec", "params": {"argv": ["sh", "-c", "true"]}}},
 {"id": "$goal-c", "payload": {"kind": "noop", "params": {}}, "depends_on": ["$goal-a", "$goal-b"]}]}
END
;;
*'This is plan 2 of'*) echo '{"summary": "another way", "done": false, "proposals": [{"id": "'$goal-d'", "revises": "'$goal-b'", "payload": {"kind": "noop", "params": {}}}]}' ;;
*) echo '{"summary": "reached", "done": true, "proposals": []}' ;;
esac
`

// TestGoalsKilled: goals go on where they were when ticks, and operators who approve what they propose, are killed at random
// moments. Each is reached by the plans that it takes, and every job of it is there once.
func TestGoalsKilled(t *testing.T) {
	t.Parallel()
	goals, each := 4, 4
	if long {
		goals, each = 25, 6
	}
	random := rand.New(rand.NewPCG(seed(t), 1))
	s := newSite(t, 4)
	script := filepath.Join(filepath.Dir(s.dir), "planner.sh")
	if err := os.WriteFile(script, []byte(planner), 0o700); err != nil {
		t.Fatal(err)
	}
	s.configure(func(config map[string]any) {
		gates := config["gates"].(map[string]any)
		gates["kinds"] = map[string]any{"allow": []string{"noop", "exec", "llm"}}
		gates["models"] = []string{"m"}
		model := map[string]any{"backend": "command", "command": []string{script}, "calls_per_hour": 0, "calls_per_day": 0}
		config["relay"] = map[string]any{"models": map[string]any{"m": model}}
	})
	killed := 0
	for i := range goals * each {
		if i%each == 0 {
			s.must("mission", "submit", "--goal", fmt.Sprintf("Goal %d.", i), "--run", fmt.Sprint(i/each))
		}
		list := []*process{s.start("", "tick", "--json")}
		if ids := s.waiting(); len(ids) > 0 {
			list = append(list, s.start("", append([]string{"approve"}, ids...)...))
		}
		if random.IntN(2) == 0 {
			list = append(list, s.start("", "tick", "--json"))
		}
		time.Sleep(time.Duration(random.Int64N(int64(250 * time.Millisecond))))
		for _, p := range list {
			if p.kill(); p.ProcessState.ExitCode() < 0 {
				killed++
			}
		}
	}
	s.until("over", patience, func() bool {
		if ids := s.waiting(); len(ids) > 0 {
			s.must(append([]string{"approve"}, ids...)...)
		}
		s.must("tick", "--json")
		return strings.Count(s.must("ledger", "log", "--event", "MISSION_ENDED", "--json"), "\n") >= goals
	})
	s.quiet()
	if t.Logf("%d processes killed", killed); killed < goals {
		t.Error("nothing was put to the test")
	}
	e := expectation{jobs: map[string]want{}}
	for i := range goals {
		id := fmt.Sprintf("goal-%d", i)
		for _, name := range []string{"-a", "-c", "-d", ".plan-1", ".plan-2", ".plan-3"} {
			e.jobs[id+name] = want{fate: safe}
		}
	}
	for _, complaint := range s.inspect(e) {
		t.Error(complaint)
	}
	if list := lines[jobLine](t, s.must("jobs", "--json")); len(list) != 7*goals {
		t.Errorf("%d jobs of %d goals", len(list), goals)
	}
	if n := strings.Count(s.must("ledger", "log", "--event", "MISSION_ENDED", "--json"), `"done":true`); n != goals {
		t.Errorf("%d goals were reached", n)
	}
	s.must("index", "rebuild")
	for _, complaint := range s.inspect(e) {
		t.Error("after a rebuild: ", complaint)
	}
}

// waiting lists the jobs that an operator may approve.
func (s *site) waiting() []string {
	s.t.Helper()
	var ids []string
	for _, j := range lines[jobLine](s.t, s.must("jobs", "--status", "quarantined", "--json")) {
		// What is set aside because processes were killed while they judged it, no operator can allow: it is in another one's place.
		if !strings.HasSuffix(j.ID, "-b") && !strings.Contains(j.Error, "PIPELINE_ERROR") {
			ids = append(ids, j.ID)
		}
	}
	return ids
}
