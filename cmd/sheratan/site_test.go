package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nobody is an ordinary user, as whom tests that were started by root do what must not be done with root's powers.
const nobody = 65534

// site is a workspace, and an ordinary user who works in it.
type site struct {
	t   *testing.T
	bin string
	ws  string
	uid int // -1: who runs the test
}

// newSite makes a workspace in a folder of its own.
func newSite(t *testing.T) *site {
	t.Helper()
	base, err := os.MkdirTemp("", "sheratan-site-")
	if err != nil {
		t.Fatal(err)
	}
	if base, err = filepath.EvalSymlinks(base); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(base); err != nil {
			t.Error(err)
		}
	})
	return newSiteIn(t, base)
}

// newSiteIn makes a workspace in base.
func newSiteIn(t *testing.T, base string) *site {
	t.Helper()
	s := &site{t: t, ws: filepath.Join(base, "ws"), uid: -1}
	bin, err := exec.LookPath("sheratan")
	if err != nil {
		t.Fatal(err)
	}
	s.bin = bin
	if os.Getuid() == 0 {
		// The program that the scripts use lies in a folder of root's.
		s.uid = nobody
		dir, err := os.MkdirTemp("", "sheratan-bin-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		s.bin = filepath.Join(dir, "sheratan")
		if err := os.Link(bin, s.bin); err != nil {
			if err := os.WriteFile(s.bin, readFile(t, bin), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for path, mode := range map[string]os.FileMode{dir: 0o755, s.bin: 0o755, base: 0o700} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chown(base, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	s.in(base, nil, "init", "ws")
	return s
}

// path names something in the workspace.
func (s *site) path(elem ...string) string { return filepath.Join(s.ws, filepath.Join(elem...)) }

// write makes a file, and its folder, as the user.
func (s *site) write(name string, data []byte) {
	s.t.Helper()
	path := s.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		s.t.Fatal(err)
	}
	if s.uid < 0 {
		return
	}
	for dir := path; len(dir) > len(filepath.Dir(s.ws)); dir = filepath.Dir(dir) {
		if err := os.Lchown(dir, s.uid, s.uid); err != nil {
			s.t.Fatal(err)
		}
	}
}

// setConfig replaces a text in config/sheratan.json.
func (s *site) setConfig(old, new string) {
	s.t.Helper()
	b := readFile(s.t, s.path("config/sheratan.json"))
	if !bytes.Contains(b, []byte(old)) {
		s.t.Fatalf("config/sheratan.json has no %s", old)
	}
	s.write("config/sheratan.json", bytes.Replace(b, []byte(old), []byte(new), 1))
}

// run runs sheratan in the workspace. It must not panic.
func (s *site) run(stdin []byte, args ...string) (stdout []byte, stderr string, code int) {
	s.t.Helper()
	return s.in(s.ws, stdin, args...)
}

// command is sheratan as the user, in a folder.
func (s *site) command(dir string, args ...string) *exec.Cmd {
	cmd := exec.Command(s.bin, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "PWD="+dir, "SHERATAN_WORKSPACE=")
	if s.uid >= 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(s.uid), Gid: uint32(s.uid)}}
	}
	return cmd
}

func (s *site) in(dir string, stdin []byte, args ...string) ([]byte, string, int) {
	s.t.Helper()
	cmd := s.command(dir, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatalf("sheratan %s: %v", strings.Join(args, " "), err)
	}
	if strings.Contains(errs.String(), "goroutine ") {
		s.t.Fatalf("sheratan %s: %s", strings.Join(args, " "), &errs)
	}
	return out.Bytes(), errs.String(), cmd.ProcessState.ExitCode()
}

// must runs sheratan, which must exit 0.
func (s *site) must(args ...string) []byte {
	s.t.Helper()
	out, errs, code := s.run(nil, args...)
	if code != 0 {
		s.t.Fatalf("sheratan %s: exit %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// fails runs sheratan, which must exit with code and say each of the texts on stderr.
func (s *site) fails(code int, texts []string, args ...string) {
	s.t.Helper()
	_, errs, got := s.run(nil, args...)
	if got != code {
		s.t.Errorf("sheratan %s: exit %d, want %d\n%s", strings.Join(args, " "), got, code, errs)
	}
	for _, text := range texts {
		if !strings.Contains(errs, text) {
			s.t.Errorf("sheratan %s: does not say %q:\n%s", strings.Join(args, " "), text, errs)
		}
	}
}

// stdin runs sheratan with this input; it must exit with code, where that is not -1.
func (s *site) stdin(input []byte, code int, args ...string) []byte {
	s.t.Helper()
	out, errs, got := s.run(input, args...)
	if code >= 0 && got != code {
		s.t.Fatalf("sheratan %s: exit %d, want %d\n%.2000s", strings.Join(args, " "), got, code, errs)
	}
	return out
}

// jobs lists all jobs.
func (s *site) jobs() []jobLine {
	s.t.Helper()
	return lines[jobLine](s.t, s.must("jobs", "--json"))
}

// status is the state of one job, "" where there is none.
func (s *site) status(id string) string {
	s.t.Helper()
	out, _, _ := s.run(nil, "jobs", "--json", id)
	for _, j := range lines[jobLine](s.t, out) {
		return j.Status
	}
	return ""
}
