package relay_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/hosts/relay"
)

// TestRecordAndReplay records what a server says, and has the same said without it. No credential is in the recording.
func TestRecordAndReplay(t *testing.T) {
	t.Parallel()
	const secret = "hunter2hunter2"
	redact := func(s string) string { return strings.ReplaceAll(s, secret, "[redacted]") }
	reply := func(text string) string {
		return `{"choices":[{"message":{"content":"` + text + `"},"finish_reason":"stop"}]}`
	}
	s := serve(t, text(200, reply("first "+secret)), text(200, reply("second")), text(200, reply("other")))
	file := filepath.Join(t.TempDir(), "conversation.jsonl")
	m := model(s.URL)
	m.KeyEnv = "KEY"
	live := newRelay(t, relay.Options{Record: file, Redact: redact, Getenv: func(string) string { return secret }}, map[string]relay.Model{"m": m})
	questions := []string{"the password is " + secret, "the password is " + secret, "another"}
	for _, q := range questions {
		if _, err := live.AskOne(context.Background(), "m", relay.Request{Prompt: q}); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(kept), secret) || strings.Count(string(kept), "\n") != 3 {
		t.Fatalf("%s, %v", kept, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}

	m = relay.DefaultModel()
	m.Backend, m.File = relay.BackendReplay, file
	again := newRelay(t, relay.Options{Redact: redact}, map[string]relay.Model{"m": m})
	for i, q := range append(questions, questions[0]) {
		got, err := again.AskOne(context.Background(), "m", relay.Request{Prompt: q})
		if want := []string{"first [redacted]", "second", "other", "second"}[i]; err != nil || got.Text != want {
			t.Errorf("question %d: %q, %v; want %q", i, got.Text, err, want)
		}
	}
	_, err = again.AskOne(context.Background(), "m", relay.Request{Prompt: "never asked"})
	wantKind(t, err, relay.Protocol)
	for _, damage := range []string{"nonsense\n", `{"$schema":"other"}` + "\n"} {
		if err := os.WriteFile(file, []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := relay.ReadRecording(file); err == nil || !strings.Contains(err.Error(), ":1: is not a conversation") {
			t.Errorf("%q: %v", damage, err)
		}
	}
}
