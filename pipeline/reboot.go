package pipeline

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/durable"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// unsyncedFor is how long before the end of the ledger files were written that a power loss may have taken, together with
// the markers that told of them. Systems write back what is older than half a minute.
const unsyncedFor = 2 * time.Minute

// bootFile names the boot of the machine in which the files of the jobs were last seen to.
func (p *Pipeline) bootFile() string { return filepath.Join(p.ws.State(), "boot") }

// newBoot reports whether the machine may have been started again since then. Where nobody has seen to it yet, other commands
// may have been at work before. In a new workspace there is nothing to see to.
func (p *Pipeline) newBoot() (bool, error) {
	text, err := os.ReadFile(p.bootFile())
	if errors.Is(err, fs.ErrNotExist) {
		size, err := p.log.Size()
		return size > 0, err
	}
	return err == nil && string(text) != p.runner.Boot, err
}

func (p *Pipeline) settleBoot() error {
	return durable.WriteFile(p.bootFile(), []byte(p.runner.Boot), 0o600)
}

// unsynced adds the jobs of the last events before a reboot to ids.
func (b *batch) unsynced(ids []string) ([]string, error) {
	last, ok, err := b.tx.Event(b.from - 1)
	if err != nil || !ok {
		return ids, err
	}
	end, err := job.ParseTime(last.Timestamp)
	if err != nil {
		return nil, err
	}
	filter := index.EventFilter{Since: end.Add(-unsyncedFor), To: b.from}
	err = b.tx.Events(filter, func(ev ledger.Event) error {
		if ev.JobID != "" {
			ids = append(ids, ev.JobID)
		}
		return nil
	})
	slices.Sort(ids)
	return slices.Compact(ids), err
}
