package pipeline

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sheratan/sheratan/runtime/durable"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// refusedRules is what a loop that begins nothing, because its rules cannot be loaded, leaves for status.
type refusedRules struct {
	Runner ledger.Runner `json:"runner"`
	Error  string        `json:"error"`
}

func (p *Pipeline) refusedRulesFile() string { return filepath.Join(p.ws.State(), "loop.rules") }

// refuseRules tells others that this loop begins nothing, and why.
func (p *Pipeline) refuseRules(why string) error {
	text, err := json.Marshal(refusedRules{p.runner, why})
	if err != nil {
		return err
	}
	return durable.ReplaceFile(p.refusedRulesFile(), text, 0o600)
}

// acceptRules takes that back.
func (p *Pipeline) acceptRules() error {
	if err := os.Remove(p.refusedRulesFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// loopRefuses returns why the loop that runs begins nothing, "" where it does or there is none.
func (p *Pipeline) loopRefuses() (string, error) {
	text, err := os.ReadFile(p.refusedRulesFile())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var r refusedRules
	if err := json.Unmarshal(text, &r); err != nil || !durable.Alive(r.Runner.Boot, r.Runner.PID, r.Runner.Start) {
		return "", nil // half of it after a power loss, or left by a loop that was killed
	}
	return r.Error, nil
}

// noSource gives an engine nothing to begin.
var noSource = source{
	head:  func(*index.Reader) (row indexRow, ok bool, err error) { return row, false, nil },
	lease: func(*batch, int) ([]*attempt, []string, error) { return nil, nil, nil },
}
