package roots

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// racing is how long an attacker and a victim run against each other.
const racing = 300 * time.Millisecond

// patience is how long the unprotected control gets to be caught, on a machine with other things to do.
const patience = 10 * time.Second

// attack runs fn in a loop until the returned function is called.
func attack(fn func()) (stop func()) {
	quit, done := make(chan bool), make(chan bool)
	go func() {
		defer close(done)
		for {
			select {
			case <-quit:
				return
			default:
				fn()
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

// swap exchanges two names over and over, so that each means one thing and then the other.
func swap(t *testing.T, a, b string) (stop func()) {
	t.Helper()
	if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
		t.Skip("names cannot be exchanged here:", err)
	}
	n := 0
	return attack(func() {
		unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
		if n++; n%4 == 0 {
			time.Sleep(20 * time.Microsecond) // so that the victim sometimes meets a whole state
		}
	})
}

// races are the ways to replace something on the path d/f, which is harmless, between check and use.
func races(t *testing.T, f fixture) map[string]func() func() {
	t.Helper()
	at := func(name string) string { return filepath.Join(f.ws, name) }
	put(t, at("d/f"), "harmless")
	put(t, at("config/f"), canary)
	put(t, filepath.Join(f.base, "outside/f"), canary)
	link(t, filepath.Join(f.base, "outside"), at("to-outside"))
	link(t, "config", at("to-config"))
	link(t, filepath.Join(f.base, "outside/f"), at("to-file"))
	if err := os.Link(filepath.Join(f.base, "outside/f"), at("hard")); err != nil {
		t.Fatal(err)
	}
	return map[string]func() func(){
		"directory and link outside":   func() func() { return swap(t, at("d"), at("to-outside")) },
		"directory and link to config": func() func() { return swap(t, at("d"), at("to-config")) },
		"directory and config itself":  func() func() { return swap(t, at("d"), at("config")) },
		"file and link outside":        func() func() { return swap(t, at("d/f"), at("to-file")) },
		"file and hard link":           func() func() { return swap(t, at("d/f"), at("hard")) },
	}
}

type reader func(f fixture, path string) (string, error)

func confined(f fixture, path string) (string, error) { return f.read(path) }

// naive checks and then uses, by name.
func naive(f fixture, path string) (string, error) {
	if err := f.Check(path); err != nil {
		return "", err
	}
	b, err := os.ReadFile(filepath.Join(f.ws, path))
	return string(b), err
}

// revealed counts what a reader got to see. It goes on until it has seen something
// harmless or, with long, a secret.
func revealed(t *testing.T, read reader, name string, long bool) (secrets, harmless int) {
	f := newFixture(t, ".")
	start := races(t, f)[name]
	stop := start()
	defer stop()
	wanting := func() bool { return long && secrets == 0 || !long && harmless == 0 }
	for begin := time.Now(); time.Since(begin) < racing || wanting() && time.Since(begin) < patience; {
		switch s, err := read(f, "d/f"); {
		case err == nil && s == canary:
			secrets++
		case err == nil && s == "harmless":
			harmless++
		}
	}
	return secrets, harmless
}

func TestReadRaces(t *testing.T) {
	for name := range races(t, newFixture(t, ".")) {
		t.Run(name, func(t *testing.T) {
			secrets, harmless := revealed(t, confined, name, false)
			if secrets > 0 || harmless == 0 {
				t.Errorf("%d secrets, %d harmless", secrets, harmless)
			}
			if secrets, _ := revealed(t, naive, name, true); secrets == 0 {
				t.Error("the control is not caught: the test shows nothing")
			}
		})
	}
}

func TestWriteRaces(t *testing.T) {
	for name := range races(t, newFixture(t, ".")) {
		t.Run(name, func(t *testing.T) {
			damaged := func(limit time.Duration, write func(fixture)) string {
				f := newFixture(t, ".")
				start := races(t, f)[name]
				damage := f.watch(t)
				for begin := time.Now(); time.Since(begin) < limit; {
					stop := start()
					for end := time.Now().Add(racing); time.Now().Before(end); {
						write(f)
					}
					stop()
					if d := damage(); d != "" {
						return d
					}
				}
				return ""
			}
			if d := damaged(racing, func(f fixture) {
				f.WriteFile("d/f", []byte("harmless"), Overwrite)
				f.WriteFile("d/f", []byte("harmless"), Append)
				f.WriteFile("d/g", []byte("harmless"), Create)
				os.Remove(filepath.Join(f.ws, "d/g"))
			}); d != "" {
				t.Error("what lies outside was changed:", d)
			}
			if damaged(patience, func(f fixture) {
				if f.Check("d/f") == nil {
					os.WriteFile(filepath.Join(f.ws, "d/f"), []byte("harmless"), 0o644)
				}
			}) == "" {
				t.Error("the control is not caught: the test shows nothing")
			}
		})
	}
}

// watch holds on to the directories that must not change, wherever they are moved, and returns a function that says what
// changed in them.
func (f fixture) watch(t *testing.T) func() string {
	t.Helper()
	dirs := map[string]*os.File{}
	for _, name := range []string{"ws/config", "outside"} {
		d, err := os.Open(filepath.Join(f.base, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		dirs[name] = d
	}
	look := func() string {
		var b strings.Builder
		for _, name := range []string{"ws/config", "outside"} {
			here := fmt.Sprintf("/proc/self/fd/%d/", dirs[name].Fd())
			entries, err := os.ReadDir(here)
			for _, e := range entries {
				content, _ := os.ReadFile(here + e.Name())
				fmt.Fprintf(&b, "%s/%s %q\n", name, e.Name(), content)
			}
			if err != nil {
				t.Error(err)
			}
		}
		return b.String()
	}
	before := look()
	return func() string {
		if after := look(); after != before {
			return after
		}
		return ""
	}
}

// TestListRace lists a directory whose subdirectory becomes a link to the outside and back.
func TestListRace(t *testing.T) {
	f := newFixture(t)
	put(t, filepath.Join(f.work, "t/d/ok"), "")
	link(t, filepath.Join(f.base, "outside"), filepath.Join(f.work, "elsewhere"))
	stop := swap(t, filepath.Join(f.work, "t/d"), filepath.Join(f.work, "elsewhere"))
	defer stop()
	whole := 0
	for begin := time.Now(); time.Since(begin) < racing || whole == 0 && time.Since(begin) < patience; {
		names, _, err := f.List("t", true, 100)
		s := strings.Join(names, " ")
		if strings.Contains(s, "secret") {
			t.Fatalf("listed %q", s)
		}
		if err == nil && s == "d/ d/ok" {
			whole++
		}
	}
	if whole == 0 {
		t.Error("the directory was never listed")
	}
}

// TestFIFORace has a file become a FIFO between check and use: opening it must not wait for a writer.
func TestFIFORace(t *testing.T) {
	f := newFixture(t)
	if err := unix.Mkfifo(filepath.Join(f.work, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	stop := swap(t, filepath.Join(f.work, "fifo"), filepath.Join(f.work, "a.txt"))
	defer stop()
	done := make(chan bool)
	go func() {
		defer close(done)
		for end := time.Now().Add(racing); time.Now().Before(end); {
			if file, err := f.OpenFile("a.txt"); err == nil {
				io.ReadAll(file)
				file.Close()
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it hangs")
	}
}
