//go:build amd64 || arm64

package sandbox

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nobody is an ordinary user.
const nobody = 65534

// TestOrdinaryUser runs the tests of confinement again without root's powers.
func TestOrdinaryUser(t *testing.T) {
	ordinary(t, "Confined|Survivors|Escape|Probe|KeeperDies", &syscall.SysProcAttr{})
}

// ordinary runs tests again as an ordinary user.
func ordinary(t *testing.T, tests string, attr *syscall.SysProcAttr) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("the tests run as an ordinary user already")
	}
	// Neither the test binary nor temporary folders are open to everybody by themselves.
	dir, err := os.MkdirTemp("/tmp", "sandbox-nobody")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "sandbox.test")
	if err := copyProgram(binary); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-test.run="+tests)
	if testing.Verbose() {
		cmd.Args = append(cmd.Args, "-test.v") // else only those that fail say anything
	}
	if testing.Short() {
		cmd.Args = append(cmd.Args, "-test.short")
	}
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir, "HOME=" + dir, "SANDBOX_DELEGATED=" + os.Getenv("SANDBOX_DELEGATED")}
	cmd.SysProcAttr = attr
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "--- SKIP") {
			t.Log(strings.TrimSpace(line))
		}
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func copyProgram(to string) error {
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer from.Close()
	f, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, from); err != nil {
		return err
	}
	return f.Close()
}
