package workspace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// one returns the only entry of the inbox.
func one(t *testing.T, w *Workspace) Entry {
	t.Helper()
	entries, _ := drain(t, w, 100)
	if len(entries) != 1 {
		t.Fatalf("%d entries: %q", len(entries), names(entries))
	}
	return entries[0]
}

func TestTakeSettles(t *testing.T) {
	for _, c := range []struct {
		name, data string
		fresh      bool // taken at once
	}{
		{"whole.json", `{"a":1}`, true},
		{"half.json", `{"a":`, false},
		{"empty.json", "", false},
		{"lines.jsonl", "{}\n{}\n", false},
		{"lines.ready.jsonl", "{}\n{}\n", true},
		{"long.json", "{" + strings.Repeat(" ", 2000) + "}", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorkspace(t)
			write(t, w.Inbox()+"/"+c.name, c.data)
			e := one(t, w)
			claim, err := claimer(t, w, time.Now).Take(e, 1000, parses)
			if !c.fresh {
				if !errors.Is(err, ErrUnsettled) {
					t.Fatalf("fresh: %v, want ErrUnsettled", err)
				}
				if _, err := os.Lstat(e.Path); err != nil {
					t.Fatalf("it is not left where it was: %v", err)
				}
				claim, err = claimer(t, w, later).Take(e, 1000, parses)
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(e.Path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("it is still in the inbox: %v", err)
			}
			got, err := os.ReadFile(w.Claimed(claim.Token))
			if err != nil || string(got) != c.data {
				t.Errorf("the claim holds %q, %v", got, err)
			}
			if claim.Lines != strings.HasSuffix(c.name, ".jsonl") || claim.Name != c.name || claim.Source != SourceInbox {
				t.Errorf("claim %+v", claim)
			}
			if claim.Lines {
				return
			}
			if want := c.data[:min(len(c.data), 1000)]; string(claim.Content.Data) != want || claim.Content.Bytes != int64(len(c.data)) {
				t.Errorf("read %d bytes of %d", len(claim.Content.Data), claim.Content.Bytes)
			}
			if _, whole := claim.Content.Whole(); whole != (len(c.data) <= 1000) {
				t.Errorf("whole is %t", whole)
			}
		})
	}
}

// A clock that was set back by an hour must not leave a file waiting for an hour.
func TestTakeAfterClockWasSetBack(t *testing.T) {
	w := newWorkspace(t)
	write(t, w.Inbox()+"/a.jsonl", "{}\n")
	past := func() time.Time { return time.Now().Add(-time.Hour) }
	if _, err := claimer(t, w, past).Take(one(t, w), 100, parses); err != nil {
		t.Fatal(err)
	}
}

func TestTakeOpensOnlyFiles(t *testing.T) {
	secret := t.TempDir() + "/secret.json"
	write(t, secret, `{"secret":1}`)
	for name, make := range map[string]func(path string) error{
		TypeFIFO:    func(p string) error { return syscall.Mkfifo(p, 0o666) },
		TypeSymlink: func(p string) error { return os.Symlink(secret, p) },
		TypeFolder:  func(p string) error { return os.MkdirAll(p+"/inner", 0o755) },
		TypeSocket: func(p string) error {
			fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
			if err != nil {
				return err
			}
			defer syscall.Close(fd)
			if err := os.Chdir(p[:strings.LastIndexByte(p, '/')]); err != nil { // socket names are short
				return err
			}
			return syscall.Bind(fd, &syscall.SockaddrUnix{Name: p[strings.LastIndexByte(p, '/')+1:]})
		},
	} {
		t.Run(name, func(t *testing.T) {
			if name == TypeSocket {
				t.Chdir(".") // puts the working folder back afterwards
			}
			w := newWorkspace(t)
			if err := os.Mkdir(w.InboxOf("s"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := make(w.InboxOf("s") + "/x.json"); err != nil {
				t.Fatal(err)
			}
			e := one(t, w)
			c := claimer(t, w, time.Now)
			done := time.AfterFunc(5*time.Second, func() { panic("opening a " + name + " hangs") })
			claim, err := c.Take(e, 100, parses)
			done.Stop()
			if err != nil {
				t.Fatal(err)
			}
			if claim.FileType != name || len(claim.Content.Data) != 0 {
				t.Errorf("type %q, data %q", claim.FileType, claim.Content.Data)
			}
			if _, err := c.Open(claim); err == nil {
				t.Error("it can be opened")
			}
			if err := c.MoveTo(claim, w.Blocked("id"), "raw"); err != nil {
				t.Fatal(err)
			}
			info, err := os.Lstat(w.Blocked("id") + "/raw")
			if err != nil || typeOfMode(info.Mode()) != name {
				t.Errorf("kept: %v, %v", info, err)
			}
			if _, err := os.Lstat(w.Claimed(claim.Token)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the claim is still there: %v", err)
			}
		})
	}
}

// What is claimed must be what was read, also when the writer replaces the file in between.
func TestTakeSeesReplacement(t *testing.T) {
	w := newWorkspace(t)
	path := w.Inbox() + "/a.json"
	write(t, path, `{"old":1}`)
	e := one(t, w)
	replaced := false
	claim, err := claimer(t, w, time.Now).Take(e, 100, func(b []byte) bool {
		if !replaced {
			replaced = true
			write(t, path+".tmp", `{"new":22}`)
			if err := os.Rename(path+".tmp", path); err != nil {
				t.Fatal(err)
			}
		}
		return parses(b)
	})
	if err != nil {
		t.Fatal(err)
	}
	if string(claim.Content.Data) != `{"new":22}` {
		t.Errorf("claimed %q", claim.Content.Data)
	}

	// The same with a replacement that is not finished.
	write(t, path, `{"old":1}`)
	replaced = false
	_, err = claimer(t, w, time.Now).Take(one(t, w), 100, func(b []byte) bool {
		if !replaced {
			replaced = true
			write(t, path+".tmp", `{"new":`)
			if err := os.Rename(path+".tmp", path); err != nil {
				t.Fatal(err)
			}
		}
		return parses(b)
	})
	if !errors.Is(err, ErrUnsettled) {
		t.Errorf("%v, want ErrUnsettled", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != `{"new":` {
		t.Errorf("the inbox has %q, %v", got, err)
	}
}

func TestManyClaimersTakeEachEntryOnce(t *testing.T) {
	w := newWorkspace(t)
	const many = 300
	for i := range many {
		write(t, fmt.Sprintf("%s/%d.json", w.Inbox(), i), fmt.Sprintf(`{"n":%d}`, i))
	}
	entries, _ := drain(t, w, 1000)
	var taken, gone atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c := w.Claimer(ClaimerOptions{})
			defer c.Close()
			for _, e := range entries {
				switch _, err := c.Take(e, 100, parses); {
				case err == nil:
					taken.Add(1)
				case errors.Is(err, ErrGone):
					gone.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if taken.Load() != many || gone.Load() != 3*many {
		t.Errorf("%d taken, %d gone", taken.Load(), gone.Load())
	}
}

func TestReturnReplacesNothing(t *testing.T) {
	w := newWorkspace(t)
	path := w.Inbox() + "/p.json"
	write(t, path, `{"first":1}`)
	b := claimer(t, w, time.Now)
	claim, err := b.Take(one(t, w), 100, parses)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, `{"second":2}`)
	if err := b.Return(claim); err != nil {
		t.Fatal(err)
	}
	entries, _ := drain(t, w, 10)
	var got []string
	for _, e := range entries {
		data, err := os.ReadFile(e.Path)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(data))
	}
	slices.Sort(got)
	if want := []string{`{"first":1}`, `{"second":2}`}; !slices.Equal(got, want) {
		t.Errorf("the inbox has %q, want %q", got, want)
	}
}

func TestSignatureTravelsWithItsProposal(t *testing.T) {
	w := newWorkspace(t)
	write(t, w.Inbox()+"/a.json", "{}")
	write(t, w.Inbox()+"/a.json.sig", "signed")
	c := claimer(t, w, time.Now)
	claim, err := c.Take(one(t, w), 100, parses)
	if err != nil {
		t.Fatal(err)
	}
	if sig, err := c.Signature(claim); err != nil || string(sig) != "signed" {
		t.Errorf("signature %q, %v", sig, err)
	}
	// A crash between the two renames leaves the signature behind, where it is found as well.
	if err := os.Rename(w.Claimed(claim.Token)+".sig", w.Inbox()+"/a.json.sig"); err != nil {
		t.Fatal(err)
	}
	if sig, err := c.Signature(claim); err != nil || string(sig) != "signed" {
		t.Errorf("signature left behind: %q, %v", sig, err)
	}
	if err := os.Remove(w.Inbox() + "/a.json.sig"); err != nil {
		t.Fatal(err)
	}
	if sig, err := c.Signature(claim); err != nil || sig != nil {
		t.Errorf("no signature: %q, %v", sig, err)
	}
	write(t, w.Claimed(claim.Token)+".sig", "x")
	if err := c.Remove(claim); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(w.ClaimedDir()); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestOrphansAreThoseOfTheDead(t *testing.T) {
	if os.Getenv("CLAIM_AND_DIE") != "" {
		w := At(os.Getenv("CLAIM_AND_DIE"))
		c := w.Claimer(ClaimerOptions{})
		entries, _ := drain(t, w, 100)
		if _, err := c.Take(entries[0], 100, parses); err != nil {
			t.Fatal(err)
		}
		fmt.Println("claimed")
		time.Sleep(time.Minute)
		return
	}
	w := newWorkspace(t)
	write(t, w.Inbox()+"/a.json", `{"a":1}`)
	cmd := exec.Command(os.Args[0], "-test.run=^TestOrphansAreThoseOfTheDead$")
	cmd.Env = append(os.Environ(), "CLAIM_AND_DIE="+w.Root())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, len("claimed"))
	if _, err := io.ReadFull(out, buf); err != nil || string(buf) != "claimed" {
		t.Fatalf("%q, %v", buf, err)
	}
	c := claimer(t, w, time.Now)
	if orphans, err := c.Orphans(); err != nil || len(orphans) != 0 {
		t.Errorf("while it lives: %v, %v", orphans, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	orphans, err := c.Orphans()
	if err != nil || len(orphans) != 1 || orphans[0].Name != "a.json" {
		t.Fatalf("when it is dead: %v, %v", orphans, err)
	}
	if err := c.Load(&orphans[0], 100); err != nil || string(orphans[0].Content.Data) != `{"a":1}` {
		t.Errorf("content %q, %v", orphans[0].Content.Data, err)
	}
	if err := c.Return(orphans[0]); err != nil {
		t.Fatal(err)
	}
	claim, err := c.Take(one(t, w), 100, parses)
	if err != nil {
		t.Fatal(err)
	}
	if orphans, err := c.Orphans(); err != nil || len(orphans) != 0 {
		t.Errorf("own claims are orphans: %v, %v", orphans, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if orphans, err := c.Orphans(); err != nil || len(orphans) != 1 || orphans[0].Token != claim.Token {
		t.Errorf("after the end of the session: %v, %v", orphans, err)
	}
	if left, err := os.ReadDir(w.claimers()); err != nil || len(left) != 0 {
		t.Errorf("lock files left: %v, %v", left, err)
	}
}

func TestBigFileIsNeverReadWhole(t *testing.T) {
	w := newWorkspace(t)
	path := w.Inbox() + "/big.json"
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	const size = 50 << 20
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
	c := claimer(t, w, later)
	claim, err := c.Take(one(t, w), 1<<20, parses)
	if err != nil {
		t.Fatal(err)
	}
	if got := claim.Content; len(got.Data) != 1<<20 || cap(got.Data) > 2<<20 || !got.Partial || got.Bytes != size {
		t.Errorf("read %d (room for %d) of %d", len(got.Data), cap(got.Data), got.Bytes)
	}
	file, err := c.Open(claim)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if n, err := io.Copy(io.Discard, file); err != nil || n != size {
		t.Errorf("streamed %d, %v", n, err)
	}
}

func TestClaimsFolderIsMadeAgain(t *testing.T) {
	w := newWorkspace(t)
	write(t, w.Inbox()+"/a.json", "{}")
	if err := os.RemoveAll(w.State()); err != nil {
		t.Fatal(err)
	}
	if _, err := claimer(t, w, time.Now).Take(one(t, w), 100, parses); err != nil {
		t.Fatal(err)
	}
}

func TestPut(t *testing.T) {
	w := newWorkspace(t)
	c := claimer(t, w, time.Now)
	paths, err := w.Put("operator", []NewFile{{Name: "a.json", Data: []byte(`{"one":1}`)}})
	if err != nil || len(paths) != 1 || paths[0] != w.InboxOf("operator")+"/a.json" {
		t.Fatalf("%q, %v", paths, err)
	}
	files := []NewFile{{Name: "a.json", Data: []byte("{\n \"a\": 1}")}, {Name: "s.json", Data: []byte("{}"), Signature: []byte("signed")}}
	for i := range 2500 {
		files = append(files, NewFile{Name: fmt.Sprintf("%d.json", i), Data: fmt.Appendf(nil, `{"n":%d}`, i)})
	}
	paths, err = w.Put("operator", files)
	if err != nil || len(paths) != len(files) {
		t.Fatal(err)
	}
	for i, want := range map[int]string{0: "a-2.json", 1: "s.json", 2: "0.ready.jsonl", 2501: "2000.ready.jsonl"} {
		if paths[i] != w.InboxOf("operator")+"/"+want {
			t.Errorf("the file %d went into %s, want %s", i, paths[i], want)
		}
	}
	entries, _ := drain(t, w, 1000)
	if len(entries) != 3+3 {
		t.Errorf("%d files: %q", len(entries), names(entries))
	}
	if n, _, err := w.CountInbox(4); err != nil || n != 4 {
		t.Errorf("counted %d, %v", n, err)
	}
	if n, _, err := w.CountInbox(1000); err != nil || n != len(entries) {
		t.Errorf("counted %d, %v", n, err)
	}
	found := 0
	for _, e := range entries {
		claim, err := c.Take(e, 1<<20, parses)
		if err != nil {
			t.Fatal(err)
		}
		if sig, err := c.Signature(claim); err != nil || (string(sig) == "signed") != (claim.Name == "s.json") {
			t.Errorf("%s: signature %q, %v", claim.Name, sig, err)
		}
		if !claim.Lines {
			found++
			continue
		}
		data, err := os.ReadFile(w.Claimed(claim.Token))
		if err != nil {
			t.Fatal(err)
		}
		n := bytes.Count(data, []byte("\n"))
		if n > putLines {
			t.Errorf("%d lines in one file", n)
		}
		found += n
	}
	if found != len(files)+1 {
		t.Errorf("%d proposals found, %d put in", found, len(files)+1)
	}
	for _, bad := range []string{"x", ".x.json", "a/b.json", "../x.json", ""} {
		if _, err := w.Put("operator", []NewFile{{Name: bad, Data: []byte("{}")}}); err == nil {
			t.Errorf("the name %q is accepted", bad)
		}
	}
	if _, err := w.Put("../x", files[:1]); err == nil {
		t.Error("a source that leads elsewhere is accepted")
	}
	if left, err := os.ReadDir(w.InboxOf("operator")); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

func TestUnreadableFileIsClaimedAndSaysSo(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	w := newWorkspace(t)
	write(t, w.Inbox()+"/a.json", "{}")
	if err := os.Chmod(w.Inbox()+"/a.json", 0); err != nil {
		t.Fatal(err)
	}
	c := claimer(t, w, later)
	claim, err := c.Take(one(t, w), 100, parses)
	if err != nil || !errors.Is(claim.Content.Err, fs.ErrPermission) {
		t.Errorf("%v, content %v", err, claim.Content.Err)
	}
}
