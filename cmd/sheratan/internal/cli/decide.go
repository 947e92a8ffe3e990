package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/sheratan/sheratan/pipeline"
)

// refuseInsideJob stops what only an operator may do when this process runs in a job, whatever the config says.
func (a *app) refuseInsideJob(command string) error {
	if id := a.env.InsideJob(a.env.Getenv); id != "" {
		return fmt.Errorf("%s: this runs inside job %s, and a job decides nothing", command, escape(id))
	}
	return nil
}

// decision asks the operator on the terminal for a word on each job. Without one, the config must have named scripts as
// operators.
type decision struct {
	a       *app
	command string // approve or reject
	tty     io.ReadWriteCloser
	reader  *bufio.Reader
}

// newDecision finds out who may decide here. unread says why a script may not, whatever the config says. A caller closes what it returns.
func (a *app) newDecision(ctx context.Context, p *pipeline.Pipeline, command string, unread error) (*decision, error) {
	d := &decision{a: a, command: command}
	scripts, err := p.ScriptsMayDecide(ctx)
	if err != nil || scripts && unread == nil {
		return d, err
	}
	tty, err := a.env.Terminal()
	if err != nil && scripts {
		return nil, hint(unread, "run it on a terminal, which shows it")
	}
	if err != nil {
		return nil, hint(fmt.Errorf("%s: needs a terminal to ask on, and the config does not name scripts as operators", command),
			`run it on a terminal, or set "operators": {"scripts": true} in config/sheratan.json`)
	}
	d.tty, d.reader = tty, bufio.NewReader(tty)
	return d, nil
}

func (d *decision) close() {
	if d.tty != nil {
		_ = d.tty.Close() // nothing was written that could be lost
	}
}

// asked reports whether a terminal is asked, as the ledger records it.
func (d *decision) asked() bool { return d.tty != nil }

// ask shows text on the terminal and returns whether the answer was yes. Without a terminal it is yes: the config said so.
func (d *decision) ask(ctx context.Context, text string) (bool, error) {
	if d.tty == nil {
		return true, nil
	}
	if err := d.a.out.flush(); err != nil {
		return false, err
	}
	if _, err := fmt.Fprintf(d.tty, "%s\n%s? [y/N] ", text, d.command); err != nil {
		return false, fmt.Errorf("terminal: %w", err)
	}
	type answer struct {
		line string
		err  error
	}
	c := make(chan answer, 1)
	go func() {
		line, err := d.reader.ReadString('\n')
		c <- answer{line, err}
	}()
	select {
	case <-ctx.Done():
		return false, context.Cause(ctx)
	case ans := <-c:
		if ans.err != nil && ans.line == "" {
			return false, fmt.Errorf("terminal: %w", ans.err)
		}
		word := strings.ToLower(strings.TrimSpace(ans.line))
		return word == "y" || word == "yes", nil
	}
}
