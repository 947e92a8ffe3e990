package relay_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sheratan/sheratan/hosts/relay"
)

func script(t *testing.T, text string) relay.Model {
	t.Helper()
	m := relay.DefaultModel()
	m.Backend, m.Command, m.TimeoutSeconds = relay.BackendCommand, []string{"/bin/sh", "-c", text}, 10
	return m
}

// TestCommand asks programs.
func TestCommand(t *testing.T) {
	t.Parallel()
	getenv := func(name string) string {
		return map[string]string{"HOME": "/home/x", "MINE": "given", "OTHER": "kept"}[name]
	}
	for _, c := range []struct {
		script, answer string
		want           relay.Kind
		says           string
	}{
		{script: `printf hello`, answer: "hello"},
		{script: `cat`, answer: `{"$schema":"sheratan.relay-request/v1","model":"","system":"be brief","prompt":"greet","max_tokens":4096}` + "\n"},
		{script: `env | sort | grep -v -e PWD -e SHLVL -e _=`, answer: "HOME=/home/x\nMINE=given\nPATH=/usr/local/bin:/usr/bin:/bin\n"},
		{script: `exit 3`, want: relay.Program, says: "exit status 3"},
		{script: `echo no key >&2; exit 1`, want: relay.Program, says: "no key"},
		{script: `printf hello; exit 1`, want: relay.Program},
		{script: `:`, want: relay.Protocol, says: "said nothing"},
		{script: `head -c 3000000 /dev/zero`, want: relay.Protocol, says: "larger"},
		{script: `printf '\377'`, want: relay.Protocol, says: "UTF-8"},
	} {
		m := script(t, c.script)
		m.Env = []string{"MINE"}
		got, err := ask(newRelay(t, relay.Options{Getenv: getenv}, map[string]relay.Model{"m": m}), "m")
		if c.want == "" {
			if err != nil || got.Text != c.answer || got.Finish != relay.FinishStop {
				t.Errorf("%s: %q, %v", c.script, got.Text, err)
			}
			continue
		}
		if e := wantKind(t, err, c.want); !strings.Contains(e.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.script, err, c.says)
		}
	}
	m := script(t, "")
	m.Command = []string{filepath.Join(t.TempDir(), "none")}
	_, err := ask(newRelay(t, relay.Options{}, map[string]relay.Model{"m": m}), "m")
	wantKind(t, err, relay.Program)
}

// TestCommandEnds kills a program that takes too long, with what it started.
func TestCommandEnds(t *testing.T) {
	t.Parallel()
	pids := filepath.Join(t.TempDir(), "pid")
	m := script(t, `sleep 300 & echo $! >`+pids+`; wait`)
	m.TimeoutSeconds = 1
	start := time.Now()
	_, err := ask(newRelay(t, relay.Options{}, map[string]relay.Model{"m": m}), "m")
	wantKind(t, err, relay.Timeout)
	if took := time.Since(start); took > 8*time.Second {
		t.Errorf("it took %s", took)
	}
	text, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") || syscall.Kill(pid, 0) != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("process %d is still there", pid)
}
