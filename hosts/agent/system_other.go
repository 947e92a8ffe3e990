//go:build unix && !linux

package agent

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

func dirPath(_ *os.File, absolute string) string { return absolute }

// resolved is where a path leads, or itself where it leads nowhere.
func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

func startWriteback(*os.File) {}

func roomFor(dir string) error { return os.MkdirAll(dir, 0o755) }

func unnamedFile(string) (*os.File, error) { return nil, unix.EOPNOTSUPP }

func nameFile(*os.File, string) error { return unix.EOPNOTSUPP }

func datasync(f *os.File) error { return f.Sync() }

// Executable is the path under which this program can be started again.
func Executable() (string, error) { return os.Executable() }

// limitData limits nothing: these systems have no such limit that holds.
func limitData(int64) error { return nil }

// traits are looked at on Linux only, where jobs are confined.
func traits(*os.File) (string, error) { return "", nil }
