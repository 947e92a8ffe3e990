//go:build unix && !linux

package agent

import (
	"errors"
	"os"
	"path/filepath"
	"time"
)

var errMore = errors.New("holds more than could be removed in the time for it")

// removal empties a folder, in whatever time that takes.
type removal struct {
	until time.Time
	stop  <-chan struct{}
}

func (r *removal) empty(dir *os.File) error {
	names, err := dir.Readdirnames(-1)
	for _, name := range names {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir.Name(), name)))
	}
	return err
}
