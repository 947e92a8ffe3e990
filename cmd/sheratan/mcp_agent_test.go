package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// agent is the official client of the SDK, with a server that it has started.
type agent struct {
	t       *testing.T
	session *mcp.ClientSession
	cmd     *exec.Cmd
	stderr  *bytes.Buffer
}

// newAgent starts `sheratan mcp` in the workspace and shakes hands with it.
func newAgent(t *testing.T, s *site, args ...string) *agent {
	t.Helper()
	a := &agent{t: t, cmd: s.command(s.ws, append([]string{"mcp"}, args...)...), stderr: &bytes.Buffer{}}
	a.cmd.Stderr = a.stderr
	client := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	session, err := client.Connect(ctx, &mcp.CommandTransport{Command: a.cmd}, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, a.stderr)
	}
	a.session = session
	return a
}

// close ends the session; the server has to end by itself, and well.
func (a *agent) close() {
	a.t.Helper()
	if err := a.session.Close(); err != nil || a.cmd.ProcessState == nil || a.cmd.ProcessState.ExitCode() != 0 {
		a.t.Errorf("close: %v, %v\n%s", err, a.cmd.ProcessState, a.stderr)
	}
}

// call calls a tool and returns its answer, or the text of its error.
func (a *agent) call(tool string, args any) (answer map[string]any, failure string) {
	a.t.Helper()
	ctx, stop := context.WithTimeout(a.t.Context(), time.Minute)
	defer stop()
	res, err := a.session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		return nil, "protocol: " + err.Error()
	}
	text := res.Content[0].(*mcp.TextContent).Text
	if res.IsError {
		return nil, text
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		a.t.Fatalf("%s: %v in %s", tool, err, text)
	}
	structured, err := json.Marshal(res.StructuredContent)
	var again map[string]any
	if err != nil || json.Unmarshal(structured, &again) != nil || fmt.Sprint(again) != fmt.Sprint(answer) {
		a.t.Errorf("%s: the text and the structure differ", tool)
	}
	return answer, ""
}

// must calls a tool that must succeed.
func (a *agent) must(tool string, args any) map[string]any {
	a.t.Helper()
	answer, failure := a.call(tool, args)
	if failure != "" {
		a.t.Fatalf("%s %v: %s", tool, args, failure)
	}
	return answer
}

type obj = map[string]any

// echo is a proposal that prints a text.
func echo(id, text string) obj {
	p := obj{"payload": obj{"kind": "exec", "params": obj{"argv": []string{"echo", text}}}}
	if id != "" {
		p["id"] = id
	}
	return p
}
