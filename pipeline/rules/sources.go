package rules

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/gates/policy"
	"github.com/sheratan/sheratan/runtime/workspace"
)

// jsonSuffix ends the names of the files of policies and kinds.
const jsonSuffix = ".json"

// configName is what messages and documents call the config.
const configName = "config/sheratan.json"

// sources are the texts that the rules were made of.
type sources struct {
	configName string
	config     []byte
	policies   []sourceFile
	kinds      []sourceFile
	prompts    []sourceFile
}

type sourceFile struct {
	name string // relative to the workspace
	text []byte
}

// readFolder reads the files of a folder that have a suffix, in the order of their names. A folder that is missing has none.
func readFolder(ws *workspace.Workspace, dir, suffix string) ([]sourceFile, error) {
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []sourceFile
	for _, d := range list {
		if !strings.HasSuffix(d.Name(), suffix) || strings.HasPrefix(d.Name(), ".") {
			continue
		}
		path := filepath.Join(dir, d.Name())
		text, err := workspace.ReadText(path)
		if err != nil {
			return nil, err
		}
		found = append(found, sourceFile{ws.Rel(path), text})
	}
	return found, nil
}

// namedPolicy is a policy with the file that it is in.
type namedPolicy struct {
	name string
	file policy.File
}

func files(list []namedPolicy) []policy.File {
	all := make([]policy.File, len(list))
	for i, p := range list {
		all[i] = p.file
	}
	return all
}

func parsePolicies(list []sourceFile) (parsed []namedPolicy, problems []Problem) {
	for _, s := range list {
		f, err := policy.Parse(s.name, s.text)
		if err != nil {
			problems = append(problems, splitProblem(s.name, strings.TrimPrefix(err.Error(), s.name+": ")))
			continue
		}
		parsed = append(parsed, namedPolicy{s.name, f})
	}
	return parsed, problems
}

// fingerprint tells cheaply whether a file was written, replaced, added or removed.
type fingerprint struct {
	config, policies, kinds, prompts, lock string
	programs                               string
}

func takeFingerprint(ws *workspace.Workspace) fingerprint {
	return fingerprint{
		config:   fileTimes(ws.Config()),
		policies: folderTimes(ws.Policies(), jsonSuffix),
		kinds:    folderTimes(ws.Kinds(), jsonSuffix),
		prompts:  folderTimes(ws.Prompts(), promptSuffix),
		lock:     fileTimes(ws.ConfigLock()),
	}
}

// fileTimes describes a file by what changes when its content does. "" is a file that is not there.
func fileTimes(path string) string {
	s, err := statFile(path)
	if err != nil {
		return ""
	}
	return fmt.Sprint(s)
}

func folderTimes(dir, suffix string) string {
	list, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	var b strings.Builder
	for _, d := range list {
		if strings.HasSuffix(d.Name(), suffix) {
			b.WriteString(d.Name() + fileTimes(filepath.Join(dir, d.Name())) + "\n")
		}
	}
	return b.String()
}

func programTimes(programs []gates.Program) string {
	var b strings.Builder
	for _, p := range programs {
		if p.Real != "" {
			b.WriteString(p.Real + fileTimes(p.Real) + "\n")
		}
	}
	return b.String()
}

// fileStat is what changes when a file does. The time of the last change of the inode cannot be set by programs.
type fileStat struct {
	Dev   uint64 `json:"dev"`
	Ino   uint64 `json:"ino"`
	Size  int64  `json:"size"`
	Mtime int64  `json:"mtime"` // in nanoseconds since 1970
	Ctime int64  `json:"ctime"`
}

func statFile(path string) (fileStat, error) {
	var st unix.Stat_t
	for {
		err := unix.Stat(path, &st)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fileStat{}, &fs.PathError{Op: "stat", Path: path, Err: err}
		}
		break
	}
	return fileStat{uint64(st.Dev), uint64(st.Ino), st.Size, st.Mtim.Nano(), st.Ctim.Nano()}, nil
}
