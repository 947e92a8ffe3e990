package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// aimockVersion is the version of @copilotkit/aimock, a server of language models written by others, that is tested against.
const aimockVersion = "1.43.0"

// startAimock installs and starts the server, and returns its address.
func startAimock(t *testing.T) string {
	t.Helper()
	if os.Getenv("SHERATAN_AIMOCK") == "" {
		t.Skip("installs @copilotkit/aimock from npm: set SHERATAN_AIMOCK=1, or make aimock")
	}
	for _, program := range []string{"npm", "node"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed here", program)
		}
	}
	dir := t.TempDir()
	install := exec.Command("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", dir, "@copilotkit/aimock@"+aimockVersion)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	script, err := filepath.Abs(filepath.Join("..", "..", "testdata", "aimock", "server.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command("node", script, dir)
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill() // it serves until then
		_ = server.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "http://127.0.0.1:") {
		t.Fatalf("%q, %v", line, err)
	}
	return strings.TrimSpace(line)
}

// TestAimock has an auditor decide over each HTTP backend, with all that can go wrong on the way. What is no whole answer allows
// nothing; the good answer, and one that comes at a later attempt, do.
func TestAimock(t *testing.T) {
	t.Parallel()
	url := startAimock(t)
	s := newSite(t)
	s.setConfig(`"exec": [`, `"exec": [{"program": "sh", "args": ["-c", "..."], "decision": "allow", "unsafe": true},`)
	var config obj
	if err := json.Unmarshal(readFile(t, s.path("config/sheratan.json")), &config); err != nil {
		t.Fatal(err)
	}
	for _, b := range []struct{ backend, url string }{{"openai", url + "/v1"}, {"anthropic", url}, {"gemini", url}} {
		for _, tt := range []struct{ model, decision, says string }{
			{"good", "ALLOW", ""},
			{"unavailable-once", "ALLOW", ""},
			{"limited-once", "ALLOW", ""},
			{"unavailable", "PAUSE", "no answer within 4 s; the attempt before: 503"},
			{"limited-long", "PAUSE", "429"},
			{"malformed", "PAUSE", "the reply is not what it should be"},
			{"dropped", "PAUSE", "no answer within 4 s; the attempt before: "},
			{"slow", "PAUSE", "no answer within 4 s"},
			{"cut-off", "PAUSE", "did not come to its end by itself"},
			{"filtered", "PAUSE", "did not come to its end by itself"},
			{"prose", "PAUSE", "not one JSON object"},
			{"half", "PAUSE", "not one JSON object"},
			{"no-key", "PAUSE", "401"},
		} {
			id := b.backend + "-" + tt.model
			config["relay"] = obj{"models": obj{id: obj{"backend": b.backend, "url": b.url, "model": tt.model, "timeout_seconds": 4}}}
			config["audit"] = obj{"auditors": []string{id}}
			text, err := json.Marshal(config)
			if err != nil {
				t.Fatal(err)
			}
			s.write("config/sheratan.json", text)
			s.stdin(fmt.Appendf(nil, `{"id": %q, "payload": {"kind": "exec", "params": {"argv": ["sh", "-c", "exit 0"]}}}`, id), 0, "submit", "-")
			s.run(nil, "gate")
			start := time.Now()
			out := s.must("audit", "--json", id)
			var line struct{ Decision, Error, Status string }
			if err := json.Unmarshal(out, &line); err != nil {
				t.Fatalf("%s: %v in %s", id, err, out)
			}
			took := time.Since(start)
			if line.Decision != tt.decision || !strings.Contains(line.Error, tt.says) || (line.Error == "") != (tt.decision == "ALLOW") {
				t.Errorf("%s: %+v, want %s and %q", id, line, tt.decision, tt.says)
			}
			if status := s.status(id); (status == "quarantined") != (tt.decision == "PAUSE") {
				t.Errorf("%s: is %s", id, status)
			}
			t.Logf("%-26s %-6s %5d ms  %.120s", id, line.Decision, took.Milliseconds(), line.Error)
			if tt.model == "limited-once" && took < time.Second {
				t.Errorf("%s: asked again after %v, and Retry-After said a second", id, took)
			}
		}
	}
	s.must("ledger", "verify")
}
