package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/durable"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// verified is how far the ledger was found whole, in .sheratan/verified. It lies beside what it is about: who can write to the
// workspace can change both. It saves time, and it notices an edit by somebody who did not think of it; it proves nothing to others.
type verified struct {
	Position string `json:"position"`         // ledger.Position as text
	At       string `json:"verified_at"`      // when that was, in RFC 3339
	Full     int64  `json:"full_size"`        // events that the last verification of everything looked at
	FullAt   string `json:"full_verified_at"` // when that was

	position ledger.Position
}

// Since says what a verification took from an earlier one.
type Since struct {
	Size   int64  `json:"size"`             // the events before this one were not looked at
	At     string `json:"verified_at"`      // when they were verified last
	Full   int64  `json:"full_size"`        // of these, events that were verified together with git and the index
	FullAt string `json:"full_verified_at"` // when that was
}

func (p *Pipeline) verifiedFile() string { return filepath.Join(p.ws.State(), "verified") }

// lastVerified reads what the last verification remembered. It returns nil where there was none, and an error where it cannot be read.
func (p *Pipeline) lastVerified() (*verified, error) {
	raw, err := os.ReadFile(p.verifiedFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var v verified
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, fmt.Errorf("%s: %w", p.ws.Rel(p.verifiedFile()), err)
	}
	if err := v.position.UnmarshalText([]byte(v.Position)); err != nil {
		return nil, fmt.Errorf("%s: %w", p.ws.Rel(p.verifiedFile()), err)
	}
	return &v, nil
}

// rememberVerified writes down that the ledger is whole up to pos. That is the position of the index, and not the end of what was
// read: lines behind it may not be on the disk yet, and whoever finds them gone after a power loss would take it for tampering.
func (p *Pipeline) rememberVerified(pos ledger.Position, earlier *verified) error {
	text, err := pos.MarshalText()
	if err != nil {
		return err
	}
	now := job.FormatTime(p.opts.Now())
	v := verified{Position: string(text), At: now, Full: pos.Size, FullAt: now}
	if earlier != nil {
		v.Full, v.FullAt = earlier.Full, earlier.FullAt
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return durable.WriteFile(p.verifiedFile(), append(raw, '\n'), 0o600)
}
