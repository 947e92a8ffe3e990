package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// commandRequest is what a command model reads from its standard input.
type commandRequest struct {
	Schema    string `json:"$schema"`
	Model     string `json:"model"`
	System    string `json:"system"`
	Prompt    string `json:"prompt"`
	Answer    any    `json:"answer_schema,omitempty"`
	MaxTokens int    `json:"max_tokens"`
}

// SchemaRequest is the value of $schema in what a command model reads.
const SchemaRequest = "sheratan.relay-request/v1"

// stderrKept is how much of what the program complains about is kept, in bytes.
const stderrKept = 4 << 10

// killAfter is how long a program has to end by itself once its time is over.
const killAfter = 2 * time.Second

// runCommand asks a program. It is trusted as the config is, and so runs without a sandbox, but with an environment of its
// own and with an end: its whole process group is killed at the deadline.
func runCommand(ctx context.Context, name string, m Model, req Request, getenv func(string) string) (Answer, *Error) {
	fail := func(kind Kind, format string, args ...any) (Answer, *Error) {
		return Answer{}, &Error{name, kind, 0, fmt.Errorf(format, args...)}
	}
	stdin, err := json.Marshal(commandRequest{SchemaRequest, m.Model, req.System, req.Prompt, req.Schema, m.MaxTokens})
	if err != nil {
		return fail(Protocol, "%w", err)
	}
	cmd := exec.CommandContext(ctx, m.Command[0], m.Command[1:]...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin"}
	for _, v := range append([]string{"HOME", "LANG"}, m.Env...) {
		if value := getenv(v); value != "" {
			cmd.Env = append(cmd.Env, v+"="+value)
		}
	}
	cmd.Stdin = bytes.NewReader(append(stdin, '\n'))
	stdout, stderr := &capped{limit: m.AnswerBytes}, &capped{limit: stderrKept, drop: true}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = killAfter
	err = cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it left behind
	}
	switch {
	case stdout.over:
		return fail(Protocol, "%s: %w: %d bytes", m.Command[0], errOversize, m.AnswerBytes)
	case err != nil && stderr.kept.Len() > 0:
		return fail(Program, "%s: %w: %s", m.Command[0], err, quote(stderr.kept.Bytes()))
	case err != nil:
		return fail(Program, "%s: %w", m.Command[0], err)
	case stdout.kept.Len() == 0:
		return fail(Protocol, "%s: said nothing", m.Command[0])
	}
	answer, err := checked(Answer{Text: stdout.kept.String(), Finish: FinishStop})
	if err != nil {
		return fail(Protocol, "%s: %w", m.Command[0], err)
	}
	return answer, nil
}

// capped keeps what is written to it up to a limit, 0 being none. Above that it is an error, or dropped.
type capped struct {
	kept  bytes.Buffer // not embedded: its ReadFrom would go around Write
	limit int
	drop  bool
	over  bool
}

func (c *capped) Write(p []byte) (int, error) {
	if c.limit == 0 || c.kept.Len()+len(p) <= c.limit {
		return c.kept.Write(p)
	}
	if !c.drop {
		c.over = true
		return 0, errors.New("too much")
	}
	c.kept.Write(p[:max(0, c.limit-c.kept.Len())])
	return len(p), nil
}
