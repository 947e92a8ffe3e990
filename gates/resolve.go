package gates

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// NewResolver returns a function that finds programs by name in these folders, in order, and by absolute path anywhere.
// The folders come from the caller and not from the environment, so that whoever sets PATH does not choose the program.
func NewResolver(folders []string) func(program string) (Found, error) {
	return func(program string) (Found, error) {
		if filepath.IsAbs(program) {
			return found(program)
		}
		if strings.ContainsRune(program, filepath.Separator) || program == "" || program == "." || program == ".." {
			return Found{}, fmt.Errorf("%q is neither a name nor an absolute path", program)
		}
		for _, folder := range folders {
			if !filepath.IsAbs(folder) {
				continue
			}
			f, err := found(filepath.Join(folder, program))
			if !errors.Is(err, ErrNoProgram) {
				return f, err
			}
		}
		return Found{}, ErrNoProgram
	}
}

// found returns the program at path, ErrNoProgram where there is none that can be executed.
func found(path string) (Found, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			return Found{}, ErrNoProgram
		}
		return Found{}, err
	}
	info, err := os.Stat(real)
	if err != nil {
		return Found{}, err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return Found{}, ErrNoProgram
	}
	return Found{Path: filepath.Clean(path), Real: real}, nil
}
