package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// TestAgentBabbles sends random messages, and lines that are none, among good calls. Each of these has one answer, what is said is
// JSON-RPC, and the server ends when its input does.
func TestAgentBabbles(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	b := babbler{rand.New(rand.NewPCG(seed, 1))}
	s := newSite(t)
	lines := []string{
		`{"jsonrpc":"2.0","id":"first","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`}
	const good = 40
	for i := range good {
		for range 8 {
			lines = append(lines, strings.ReplaceAll(b.line(i), "\n", " "))
		}
		lines = append(lines, fmt.Sprintf(`{"jsonrpc":"2.0","id":"good-%d","method":"tools/call","params":{"name":"list_missions","arguments":{}}}`, i))
	}
	out, stderr, code := s.run([]byte(strings.Join(lines, "\n")+"\n"), "mcp")
	if code != 0 || strings.Contains(stderr, "panic") {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	answered := map[string]int{}
	for line := range bytes.Lines(out) {
		var m struct {
			Version string `json:"jsonrpc"`
			ID      any    `json:"id"`
			Result  any    `json:"result"`
			Error   any    `json:"error"`
		}
		if err := json.Unmarshal(line, &m); err != nil || m.Version != "2.0" || (m.Result == nil) == (m.Error == nil) {
			t.Fatalf("%v: %s", err, line)
		}
		if id, ok := m.ID.(string); ok && m.Result != nil {
			answered[id]++
		}
	}
	for i := range good {
		if id := fmt.Sprintf("good-%d", i); answered[id] != 1 {
			t.Errorf("%s has %d answers", id, answered[id])
		}
	}
	s.must("ledger", "verify")
}

type babbler struct{ *rand.Rand }

// line is what a client should not send. It says nothing with the id of a good call, and n of others.
func (b babbler) line(n int) string {
	message := obj{"jsonrpc": "2.0", "id": n + b.IntN(3), "method": b.of("tools/call", "ping", "tools/list", "resources/read", "prompts/get", "initialize",
		"logging/setLevel", "completion/complete", "notifications/cancelled", "sampling/createMessage", "x"), "params": b.value(0)}
	switch b.IntN(6) {
	case 0, 1:
		message["method"] = "tools/call"
		message["params"] = obj{"name": b.of("propose", "wait", "result", "why", "show_mission", "list_kinds", "nothing"), "arguments": b.value(0)}
	case 2:
		message[b.of("jsonrpc", "id", "method", "params", "result", "error").(string)] = b.value(0)
	case 3:
		text, _ := json.Marshal(message)
		return string(text[:b.IntN(len(text))])
	case 4:
		text := make([]byte, b.IntN(80))
		for i := range text {
			text[i] = `{}[]":,\0a`[b.IntN(10)]
		}
		return string(text)
	}
	text, err := json.Marshal(message)
	if err != nil {
		panic(err) // values that are JSON
	}
	return string(text)
}

func (b babbler) of(list ...any) any { return list[b.IntN(len(list))] }

func (b babbler) value(depth int) any {
	switch kind := b.IntN(4); {
	case kind == 0 && depth < 4:
		o := obj{}
		for range b.IntN(4) {
			o[b.of("job_id", "payload", "kind", "params", "argv", "id", "source", "part", "offset", "limit", "name", "arguments", "requestId").(string)] = b.value(depth + 1)
		}
		return o
	case kind == 1 && depth < 4:
		return []any{b.value(depth + 1), b.value(depth + 1)}
	}
	return b.of(nil, true, 0, -1, 1.5, 1e300, "", "a", "../a", strings.Repeat("a", 3000), "\u202e", "\x00", "noop", obj{})
}
