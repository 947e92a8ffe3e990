package roots

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// corpora finds the folder with data that others made.
func corpora(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("SHERATAN_CORPORA")
	if dir == "" {
		dir = "../../../shared/corpora"
	}
	dir = filepath.Join(dir, name)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the corpus %s is not here: %v", name, err)
	}
	return dir
}

// payloads returns each line of the traversal lists, as it is and percent-decoded once and twice, with the placeholder
// replaced by files that are there to be found.
func payloads(t *testing.T) []string {
	t.Helper()
	seen := map[string]bool{}
	var all []string
	add := func(s string) {
		for range 3 {
			if !seen[s] {
				seen[s] = true
				all = append(all, s)
			}
			decoded, err := url.PathUnescape(s)
			if err != nil {
				return
			}
			s = decoded
		}
	}
	dir := corpora(t, "payloadsallthethings")
	for _, list := range []string{"Directory Traversal", "File Inclusion"} {
		err := filepath.WalkDir(filepath.Join(dir, list), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			for lines := bufio.NewScanner(f); lines.Scan(); {
				s := lines.Text()
				if !strings.Contains(s, "{FILE}") {
					add(s)
					continue
				}
				for _, file := range []string{"etc/passwd", "config/secret", "outside/secret", ".git/config"} {
					add(strings.ReplaceAll(s, "{FILE}", file))
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(all) < 20000 {
		t.Fatalf("only %d payloads were found", len(all))
	}
	return all
}

// inside reports whether an open file lies where jobs may work.
func (f fixture) inside(file *os.File) error {
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", file.Fd()))
	if err != nil {
		return nil // no such facility here: the content must do
	}
	if !within(f.spec.Roots[0], path) || strings.Contains(strings.ToLower(path), "/.git") {
		return errors.New("outside: " + path)
	}
	for _, c := range closed {
		if within(filepath.Join(f.ws, c), path) {
			return errors.New("closed: " + path)
		}
	}
	return nil
}

// snapshot describes everything below base that jobs must not touch.
func (f fixture) snapshot(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(f.base, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		forbidden := false
		for _, c := range closed {
			forbidden = forbidden || within(filepath.Join(f.ws, c), path)
		}
		if within(f.spec.Roots[0], path) && !forbidden && !strings.Contains(path, "/.git") {
			return nil
		}
		fmt.Fprintf(&b, "%s %v", path, e.Type())
		if e.Type().IsRegular() {
			content, _ := os.ReadFile(path)
			fmt.Fprintf(&b, " %q", content)
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestTraversalLists uses every payload as the path of every operation. What is accepted (a percent sign is an ordinary
// character of a name) must lie inside; most must be refused.
func TestTraversalLists(t *testing.T) {
	all := payloads(t)
	for _, root := range []string{"work", "."} {
		t.Run("root "+root, func(t *testing.T) {
			f := newFixture(t, root)
			before := f.snapshot(t)
			refused, accepted := 0, 0
			stop := errors.New("stop")
			for _, p := range all {
				for _, p := range []string{p, f.spec.Roots[0] + "/" + p} {
					if file, err := f.OpenFile(p); err == nil {
						b, _ := io.ReadAll(file)
						if err := f.inside(file); err != nil || strings.Contains(string(b), canary) {
							t.Errorf("read %q: %v", p, err)
						}
						file.Close()
					}
					if dir, _, err := f.OpenDir(p); err == nil {
						if err := f.inside(dir); err != nil {
							t.Errorf("list %q: %v", p, err)
						}
						dir.Close()
						if names, _, err := f.List(p, false, 100); err != nil || slices.Contains(names, ".git") ||
							slices.Contains(names, ".git/") || slices.Contains(names, "config/") && p == "." {
							t.Errorf("list %q: %q %v", p, names, err)
						}
					}
					if err := f.Check(p); err != nil {
						refused++
						if code(err) == "" || strings.HasPrefix(string(code(err)), "untyped") {
							t.Errorf("check %q: %v", p, err)
						}
					} else {
						accepted++
					}
					// Look before writing: a hole must fail the test, not the machine.
					_, err := f.Update(p, Overwrite, func(old *os.File) ([]byte, error) {
						if old != nil {
							if err := f.inside(old); err != nil {
								t.Errorf("write %q: %v", p, err)
							}
						}
						return nil, stop
					})
					if err == stop && accepted%2000 == 0 {
						for _, mode := range []Mode{Create, Overwrite, Append} {
							f.WriteFile(p, []byte("written"), mode)
						}
					}
				}
			}
			if after := f.snapshot(t); after != before {
				t.Errorf("something changed outside:\n%s\nwas\n%s", after, before)
			}
			t.Logf("%d payloads in two forms: %d refused, %d are ordinary names", len(all), refused, accepted)
			if refused < 30000 {
				t.Error("too few were refused")
			}
		})
	}
}

// TestTraversalControl shows that the lists find a way out of a reader that joins paths.
func TestTraversalControl(t *testing.T) {
	f := newFixture(t)
	caught := 0
	for _, p := range payloads(t) {
		file, err := os.Open(filepath.Join(f.work, p))
		if err != nil {
			continue
		}
		if f.inside(file) != nil {
			caught++
		}
		file.Close()
	}
	if caught == 0 {
		t.Fatal("the lists catch nothing")
	}
	t.Logf("%d payloads escape from a naive reader", caught)
}
