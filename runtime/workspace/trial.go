package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/sheratan/sheratan/runtime/durable"
)

// Trial is the taking up of a claim that a dead process has left: while something of the claim is being judged, a file says
// so. It is locked by this process, so that one that is there and not locked is that of a process which died in the middle.
type Trial struct {
	held *durable.LockedFile
	died int
}

// Trial begins to take up what a dead process has left. The error is ErrGone where another process is about to.
func (b *Claimer) Trial(c Claim) (*Trial, error) {
	id, _, _ := strings.Cut(c.Token, "~")
	path := b.ws.trials() + "/" + id
	held, err := durable.TryLock(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(b.ws.trials(), 0o700); err != nil {
			return nil, err
		}
		held, err = durable.TryLock(path)
	}
	if errors.Is(err, durable.ErrLocked) {
		return nil, fmt.Errorf("claim %s: %w", id, ErrGone)
	}
	if err != nil {
		return nil, fmt.Errorf("claim %s: %w", id, err)
	}
	t := &Trial{held: held}
	left, err := os.ReadFile(path)
	if err != nil {
		return nil, errors.Join(err, t.End())
	}
	t.died, _ = strconv.Atoi(string(left)) // an empty file is that of a process that died between two lines
	return t, nil
}

// Died returns the line in the middle of which an earlier process died, from 1; 1 for a file that is one proposal; 0 where none did.
func (t *Trial) Died() int { return t.died }

// Begin says that a line is about to be judged, from 1.
func (t *Trial) Begin(line int) error { return t.say(strconv.Itoa(line)) }

// Done says that nothing is being judged.
func (t *Trial) Done() error { return t.say("") }

// say is not synced: what it is for is the death of a process, which the page cache survives.
func (t *Trial) say(text string) error { return os.WriteFile(t.held.Path(), []byte(text), 0o600) }

// End takes the file away.
func (t *Trial) End() error {
	// While it is still locked, as in Claimer.Close.
	return errors.Join(os.Remove(t.held.Path()), t.held.Unlock())
}
