package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/runtime/durable"
)

// safePath are the folders in which programs are looked up, whatever PATH says: only root can write there.
var safePath = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// programFolders are safePath, and behind it the folders of programs that exec rules and kinds name by an absolute path:
// whoever wrote the rule trusts that folder. So a toolchain that lies elsewhere is named once with its path, and then by name.
func programFolders(rules []gates.ExecRule, kinds []namedKind) []string {
	folders := slices.Clone(safePath)
	add := func(program string) {
		if dir := filepath.Dir(program); filepath.IsAbs(program) && !slices.Contains(folders, dir) {
			folders = append(folders, dir)
		}
	}
	for _, r := range rules {
		if !r.InRoot { // there, jobs could put a program of any name
			add(r.Program)
		}
	}
	for _, k := range kinds {
		program, _ := k.kind.Program()
		add(program)
	}
	return folders
}

// digests remembers the digests of programs, which would take longer to compute than all the rest of a command. It may be used by
// many goroutines.
type digests struct {
	path string
	now  func() time.Time

	mu      sync.Mutex
	known   map[string]programDigest
	changed bool
}

// programDigest is one entry of the cache. It holds as long as the file is the one that was read.
type programDigest struct {
	fileStat
	SHA256 string `json:"sha256"`
}

// loadDigests reads the cache. One that is missing or damaged is an empty one.
func loadDigests(path string) *digests {
	d := &digests{path: path, now: time.Now}
	if text, err := os.ReadFile(path); err != nil || json.Unmarshal(text, &d.known) != nil || d.known == nil {
		d.known = map[string]programDigest{}
	}
	return d
}

// settleTime is how old a file has to be for its times to tell whether it changed. Two changes within one tick of the
// kernel's clock have the same time.
const settleTime = 2 * time.Second

func (d *digests) digest(path string) (string, error) {
	before, err := statFile(path)
	if err != nil {
		return "", err
	}
	d.mu.Lock()
	k, ok := d.known[path]
	d.mu.Unlock()
	if ok && k.fileStat == before && len(k.SHA256) == 2*sha256.Size {
		return k.SHA256, nil
	}
	sum, err := digestFile(path)
	if err != nil {
		return "", err
	}
	after, err := statFile(path)
	if err != nil {
		return "", err
	}
	if after != before {
		return "", fmt.Errorf("%s: is being changed", path)
	}
	if d.now().Sub(time.Unix(0, before.Ctime)) > settleTime {
		d.mu.Lock()
		d.known[path], d.changed = programDigest{before, sum}, true
		d.mu.Unlock()
	}
	return sum, nil
}

func digestFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// save writes the cache where it changed. It is no harm if that fails: the next command reads the programs again.
func (d *digests) save() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.changed {
		return
	}
	if text, err := json.Marshal(d.known); err == nil {
		_ = durable.ReplaceFile(d.path, append(text, '\n'), 0o600)
	}
}

// SameProgram compares a program with what it was when the rules were loaded, or a job was approved. It reads the file only where
// its inode, size or times have changed.
func (r *Rules) SameProgram(path, sha256 string) error {
	now, err := r.digests.digest(path)
	if err != nil {
		return err
	}
	if now != sha256 {
		return &ProgramChangedError{Path: path, Want: sha256, Have: now}
	}
	return nil
}

// ProgramChangedError says that a program is another one than that which was looked at.
type ProgramChangedError struct {
	Path, Want, Have string
	Approved         bool // it was looked at when the job was approved, else when the rules were loaded
}

func (e *ProgramChangedError) Error() string {
	when := "the rules were loaded"
	if e.Approved {
		when = "the job was approved"
	}
	return fmt.Sprintf("%s: the program has changed since %s: its SHA-256 was %.12s…, and is %.12s… now", e.Path, when, e.Want, e.Have)
}

// Temporary reports whether another attempt may succeed: rules are loaded again, a job is not approved again.
func (e *ProgramChangedError) Temporary() bool { return !e.Approved }
