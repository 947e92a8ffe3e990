package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// onlyFiles checks that dir has these names and no temporary file besides.
func onlyFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the folder has %q, want %q", got, want)
	}
}

func TestWrite(t *testing.T) {
	for name, test := range map[string]struct {
		write    func(string, []byte, fs.FileMode) error
		replaces bool
	}{
		"WriteFile": {WriteFile, true}, "ReplaceFile": {ReplaceFile, true}, "CreateFile": {CreateFile, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "file")
			big := bytes.Repeat([]byte("x"), 3<<20)
			if err := test.write(path, big, 0o640); err != nil {
				t.Fatal(err)
			}
			if read(t, path) != string(big) {
				t.Error("not what was written")
			}
			if info, _ := os.Stat(path); info.Mode().Perm()&^0o640 != 0 || info.Mode().Perm()&0o600 != 0o600 {
				t.Errorf("mode %v", info.Mode())
			}
			err := test.write(path, []byte("second"), 0o640)
			if test.replaces {
				if err != nil || read(t, path) != "second" {
					t.Errorf("replacing: %v", err)
				}
			} else if !errors.Is(err, fs.ErrExist) || read(t, path) != string(big) {
				t.Errorf("an existing file: %v", err)
			}
			onlyFiles(t, dir, "file")

			missing := filepath.Join(dir, "no", "file")
			if err := test.write(missing, nil, 0o600); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), missing) {
				t.Errorf("a missing folder: %v", err)
			}
			if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := test.write(filepath.Join(dir, "sub"), nil, 0o600); err == nil {
				t.Error("a folder was replaced")
			}
			onlyFiles(t, dir, "file", "sub")

			// A link is replaced, not followed.
			link := filepath.Join(dir, "link")
			if err := os.Symlink(path, link); err != nil {
				t.Fatal(err)
			}
			before := read(t, path)
			err = test.write(link, []byte("third"), 0o600)
			if (err == nil) != test.replaces || read(t, path) != before {
				t.Errorf("written through a link: %v", err)
			}
		})
	}
}

// TestReplaceIsWhole reads a file while it is replaced all the time.
func TestReplaceIsWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	content := func(i int) []byte { return bytes.Repeat([]byte{'a' + byte(i%26)}, 100_000+i) }
	if err := ReplaceFile(path, content(0), 0o644); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		for i := range 300 {
			if err := ReplaceFile(path, content(i), 0o644); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) < 100_000 || len(bytes.Trim(b, string(b[:1]))) != 0 {
			t.Fatalf("%d bytes, not one of the versions", len(b))
		}
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
	}
}

// TestRenameNoReplaceOnce has many movers compete for one name, both ways in which the move can be made.
func TestRenameNoReplaceOnce(t *testing.T) {
	for name, move := range map[string]func(from, to string) error{"system": RenameNoReplace, "fallback": linkUnlink} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			const n = 20
			errs := make([]error, n)
			var wg sync.WaitGroup
			for i := range n {
				from := filepath.Join(dir, fmt.Sprint("from", i))
				if err := os.WriteFile(from, fmt.Append(nil, i), 0o644); err != nil {
					t.Fatal(err)
				}
				wg.Go(func() { errs[i] = move(from, filepath.Join(dir, "to")) })
			}
			wg.Wait()
			won := -1
			for i, err := range errs {
				_, statErr := os.Stat(filepath.Join(dir, fmt.Sprint("from", i)))
				switch {
				case err == nil && won < 0 && errors.Is(statErr, fs.ErrNotExist):
					won = i
				case err == nil:
					t.Errorf("%d came through as well (%v)", i, statErr)
				case !errors.Is(err, fs.ErrExist) || statErr != nil:
					t.Errorf("%d: %v, %v", i, err, statErr)
				}
			}
			if won < 0 || read(t, filepath.Join(dir, "to")) != fmt.Sprint(won) {
				t.Errorf("%d won", won)
			}
		})
	}
}

func TestRenameNoReplace(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"a", "b"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// rename(2) would replace an empty folder.
	if err := RenameNoReplace(filepath.Join(dir, "a"), filepath.Join(dir, "b")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error %v", err)
	}
	if err := RenameNoReplace(filepath.Join(dir, "a"), filepath.Join(dir, "c")); err != nil {
		t.Error(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := RenameNoReplace(filepath.Join(dir, "c"), filepath.Join(dir, "link")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a dangling link: %v", err)
	}
	if err := RenameNoReplace(filepath.Join(dir, "missing"), filepath.Join(dir, "x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	onlyFiles(t, dir, "b", "c", "link")
}

func TestMkdirAllSynced(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b", "c")
	for range 2 {
		if err := MkdirAllSynced(deep, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(deep); err != nil || !info.IsDir() {
		t.Error(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{file, filepath.Join(file, "x")} {
		if err := MkdirAllSynced(p, 0o755); !errors.Is(err, unix.ENOTDIR) {
			t.Errorf("%s: %v", p, err)
		}
	}
	if err := SyncDir(file); err == nil {
		t.Error("a file was synced as a folder")
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if _, err := OpenAppend(path, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	f, err := CreateAppend(path, 0o644, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := CreateAppend(path, 0o644, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("an existing file: %v", err)
	}
	other, err := OpenAppend(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for i, w := range []*File{f, other, f} {
		if n, err := w.Write(fmt.Append(nil, i)); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := errors.Join(f.Datasync(), f.SyncName(2), f.Truncate(2)); err != nil {
		t.Error(err)
	}
	if got := read(t, path); got != "01" {
		t.Errorf("the file has %q", got)
	}
	buf := make([]byte, 2)
	if n, err := f.ReadAt(buf, 0); n != 2 || err != nil || string(buf) != "01" {
		t.Errorf("read %q, %v", buf, err)
	}
	if n, err := f.ReadAt(buf, 1); n != 1 || err == nil {
		t.Errorf("read %d bytes over the end, %v", n, err)
	}
	if st, err := f.Stat(); err != nil || st.Size != 2 || !st.Regular {
		t.Errorf("%+v, %v", st, err)
	}
	if err := f.Remove(); err != nil {
		t.Error(err)
	}
	onlyFiles(t, dir)
	if err := unix.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenAppend(path, nil); err == nil {
		t.Error("a FIFO was opened")
	}
}

func TestFaults(t *testing.T) {
	boom := errors.New("boom")
	var fault *Fault
	path := filepath.Join(t.TempDir(), "file")
	f, err := CreateAppend(path, 0o644, func(Op) *Fault { return fault })
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, test := range []struct {
		fault *Fault
		want  string
	}{{nil, "data"}, {&Fault{Err: boom}, ""}, {&Fault{Err: boom, Bytes: 2}, "da"}, {&Fault{Err: boom, Persist: true}, "data"}} {
		fault = nil
		if err := f.Truncate(0); err != nil {
			t.Fatal(err)
		}
		fault = test.fault
		if _, err := f.Write([]byte("data")); (err != nil) != (fault != nil) || err != nil && !errors.Is(err, boom) {
			t.Errorf("%+v: error %v", test.fault, err)
		}
		if got := read(t, path); got != test.want {
			t.Errorf("%+v: the file has %q", test.fault, got)
		}
	}
	fault = &Fault{Err: boom}
	if err := f.Remove(); !errors.Is(err, boom) || read(t, path) != "data" {
		t.Errorf("a removal that is not persisted: %v", err)
	}
	fault.Persist = true
	if err := f.Remove(); !errors.Is(err, boom) {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a removal that is persisted: %v", err)
	}
}

func BenchmarkProjection(b *testing.B) {
	data := make([]byte, 1500)
	b.Run("ReplaceFile", func(b *testing.B) {
		path := filepath.Join(b.TempDir(), "file")
		b.ReportAllocs()
		for b.Loop() {
			if err := ReplaceFile(path, data, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("CreateFile", func(b *testing.B) {
		dir := b.TempDir()
		n := 0
		b.ReportAllocs()
		for b.Loop() {
			n++
			if err := CreateFile(filepath.Join(dir, strconv.Itoa(n)), data, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("os.WriteFile", func(b *testing.B) {
		dir := b.TempDir()
		n := 0
		b.ReportAllocs()
		for b.Loop() {
			n++
			if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(n)), data, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	})
}
