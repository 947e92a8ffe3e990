package roots

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

var closed = []string{"config", "runtime", "missions"}

// canary is what must never be read, and must never change.
const canary = "CANARY\n"

// fixture is a workspace with a root, and something outside of it.
//
//	base/outside/secret   base/ws/{config,runtime}/secret   base/ws/work/…   (missions does not exist)
type fixture struct {
	*Roots
	base, ws, work string
}

func newFixture(t testing.TB, rootPaths ...string) fixture {
	t.Helper()
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := fixture{base: base, ws: filepath.Join(base, "ws"), work: filepath.Join(base, "ws/work")}
	for name, content := range map[string]string{
		"outside/secret": canary, "ws/config/secret": canary, "ws/config/policies/secret": canary,
		"ws/runtime/secret": canary, "ws/work/a.txt": "a", "ws/work/sub/b.txt": "b", "ws/work/.git/config": canary,
		"ws/work/sub/.git": canary, "ws/docs/secret": "public",
	} {
		put(t, filepath.Join(base, name), content)
	}
	if len(rootPaths) == 0 {
		rootPaths = []string{"work"}
	}
	if f.Roots, err = Open(f.ws, rootPaths, closed); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func put(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t testing.TB, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func (f fixture) read(path string) (string, error) {
	file, err := f.OpenFile(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	b, err := io.ReadAll(file)
	return string(b), err
}

func code(err error) Code {
	if err == nil {
		return ""
	}
	if p, ok := errors.AsType[*PathError](err); ok {
		return p.Code
	}
	return Code("untyped: " + err.Error())
}

func TestPaths(t *testing.T) {
	f := newFixture(t)
	link(t, "sub", filepath.Join(f.work, "inner"))
	link(t, "../work/sub", filepath.Join(f.work, "around"))
	link(t, f.work+"/sub/b.txt", filepath.Join(f.work, "absolute"))
	link(t, "sub/../a.txt", filepath.Join(f.work, "back"))
	link(t, "../../outside", filepath.Join(f.work, "out"))
	link(t, f.base+"/outside/secret", filepath.Join(f.work, "out-file"))
	link(t, "../config", filepath.Join(f.work, "conf"))
	link(t, f.ws+"/config/secret", filepath.Join(f.work, "conf-file"))
	link(t, ".git", filepath.Join(f.work, "repo"))
	link(t, "loop", filepath.Join(f.work, "loop"))
	link(t, "nowhere", filepath.Join(f.work, "dangling"))
	link(t, "/proc/self/cwd", filepath.Join(f.work, "magic"))
	if err := os.Link(filepath.Join(f.base, "outside/secret"), filepath.Join(f.work, "hard")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(f.work, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path              string
		check, read, list Code
	}{
		{"a.txt", "", "", NotADirectory},
		{"./sub//b.txt", "", "", NotADirectory},
		{f.work + "/sub/b.txt", "", "", NotADirectory},
		{"a.txt/", NotADirectory, NotADirectory, NotADirectory},
		{"a.txt/b", NotADirectory, NotADirectory, NotADirectory},
		{"sub", "", NotAFile, ""},
		{"sub/", "", NotAFile, ""},
		{".", "", NotAFile, ""},
		{f.work, "", NotAFile, ""},
		{"new/file", "", NotFound, NotFound},
		{"inner/b.txt", "", "", NotADirectory},
		{"inner", "", NotAFile, ""},
		{"around/b.txt", OutsideRoots, OutsideRoots, OutsideRoots},
		{"absolute", "", "", NotADirectory},
		{"back", "", "", NotADirectory},
		{"dangling", "", NotFound, NotFound},

		{"", NotAPath, NotAPath, NotAPath},
		{"a\x00", NotAPath, NotAPath, NotAPath},
		{"a\nb", NotAPath, NotAPath, NotAPath},
		{"a\xffb", NotAPath, NotAPath, NotAPath},
		{`sub\b.txt`, NotAPath, NotAPath, NotAPath},
		{"~/x", NotAPath, NotAPath, NotAPath},
		{strings.Repeat("a", 256), NotAPath, NotAPath, NotAPath},
		{strings.Repeat("a/", 2048), NotAPath, NotAPath, NotAPath},
		{"..", Traversal, Traversal, Traversal},
		{"sub/../a.txt", Traversal, Traversal, Traversal},
		{"../config/secret", Traversal, Traversal, Traversal},
		{"...", Traversal, Traversal, Traversal},
		{".. /x", Traversal, Traversal, Traversal},
		{"．．/x", Traversal, Traversal, Traversal},
		{".\u200d./x", Traversal, Traversal, Traversal},
		{"a\uff0fb", Traversal, Traversal, Traversal},
		{"/etc/passwd", OutsideRoots, OutsideRoots, OutsideRoots},
		{f.base + "/ws/workbench", OutsideRoots, OutsideRoots, OutsideRoots},
		{f.ws + "/config/secret", ForbiddenPath, ForbiddenPath, ForbiddenPath},
		{f.ws + "/Config", ForbiddenPath, ForbiddenPath, ForbiddenPath},
		{f.ws + "/missions/x", ForbiddenPath, ForbiddenPath, ForbiddenPath},
		{".git/config", ForbiddenPath, ForbiddenPath, ForbiddenPath},
		{"sub/.git", ForbiddenPath, ForbiddenPath, ForbiddenPath},
		{".GIT", ForbiddenPath, ForbiddenPath, ForbiddenPath},
		{".git.", ForbiddenPath, ForbiddenPath, ForbiddenPath},
		{".git ", ForbiddenPath, ForbiddenPath, ForbiddenPath},
		{"GIT~1/config", ForbiddenPath, ForbiddenPath, ForbiddenPath},
		{".git::$INDEX_ALLOCATION/config", ForbiddenPath, ForbiddenPath, ForbiddenPath},
		{".g\u200cit/config", ForbiddenPath, ForbiddenPath, ForbiddenPath},
		{"\u200b.git/config", ForbiddenPath, ForbiddenPath, ForbiddenPath},
		{"．git/config", ForbiddenPath, ForbiddenPath, ForbiddenPath},
		{"config/sheratan.json", ForbiddenPath, ForbiddenPath, ForbiddenPath}, // neither there nor its folder
		{"sub/Config/SHERATAN.json", ForbiddenPath, ForbiddenPath, ForbiddenPath},
		{"sub/config/sheratan.json/x", ForbiddenPath, ForbiddenPath, ForbiddenPath},
		{"config/sheratan.jsonl", "", NotFound, NotFound},
		{"config/x/sheratan.json", "", NotFound, NotFound},
		{".gıt", "", NotFound, NotFound}, // dotless i: another letter everywhere
		{".gitignore", "", NotFound, NotFound},

		{"out/secret", OutsideRoots, OutsideRoots, OutsideRoots},
		{"out-file", OutsideRoots, OutsideRoots, OutsideRoots},
		{"conf/secret", OutsideRoots, OutsideRoots, OutsideRoots},
		{"conf-file", ForbiddenPath, ForbiddenPath, ForbiddenPath},
		{"repo/config", ForbiddenPath, ForbiddenPath, ForbiddenPath},
		{"magic/x", OutsideRoots, OutsideRoots, OutsideRoots},
		{"loop", SymlinkLoop, SymlinkLoop, SymlinkLoop},
		{"hard", HardLink, HardLink, NotADirectory},
		{"fifo", SpecialFile, SpecialFile, NotADirectory},
	} {
		if got := code(f.Check(c.path)); got != c.check {
			t.Errorf("Check(%q): %q, want %q", c.path, got, c.check)
		}
		if _, err := f.read(c.path); code(err) != c.read {
			t.Errorf("OpenFile(%q): %v, want %q", c.path, err, c.read)
		}
		if _, _, err := f.List(c.path, false, 10); code(err) != c.list {
			t.Errorf("List(%q): %v, want %q", c.path, err, c.list)
		}
		if dir, _, err := f.OpenDir(c.path); code(err) != c.list {
			t.Errorf("OpenDir(%q): %v, want %q", c.path, err, c.list)
		} else if err == nil {
			dir.Close()
		}
	}
}

func TestErrorNamesThePath(t *testing.T) {
	f := newFixture(t)
	for _, err := range []error{f.Check("../x"), f.WriteFile("../x", nil, Create)} {
		if err == nil || !strings.HasPrefix(err.Error(), `"../x": `) {
			t.Error(err)
		}
	}
	_, err := f.OpenFile("none")
	if !errors.Is(err, os.ErrNotExist) {
		t.Error("the system's error is not in the chain:", err)
	}
}

// TestRootAroundTheWorkspace is the case of a root that holds config, runtime and missions.
func TestRootAroundTheWorkspace(t *testing.T) {
	f := newFixture(t, "..")
	link(t, "ws/config", filepath.Join(f.base, "c"))
	for _, path := range []string{"ws/config", "ws/config/secret", "ws/CONFIG/secret", "ws/runtime", "c/secret", "c",
		"ws/missions/x", "ws/Missions", f.ws + "/config/secret", "ws/work/.git/config"} {
		if got := code(f.Check(path)); got != ForbiddenPath {
			t.Errorf("Check(%q): %q", path, got)
		}
		if s, err := f.read(path); code(err) != ForbiddenPath {
			t.Errorf("read(%q): %q, %v", path, s, err)
		}
		for _, mode := range []Mode{Create, Overwrite, Append} {
			if err := f.WriteFile(path+"/new", []byte("x"), mode); code(err) != ForbiddenPath {
				t.Errorf("write(%q): %v", path, err)
			}
		}
	}
	names, more, err := f.List(".", true, 100)
	want := []string{"c", "outside/", "outside/secret", "ws/", "ws/docs/", "ws/docs/secret", "ws/work/", "ws/work/a.txt",
		"ws/work/sub/", "ws/work/sub/b.txt"}
	if err != nil || more || !slices.Equal(names, want) {
		t.Errorf("List: %q, %v, %v", names, more, err)
	}
	if s, err := f.read("ws/work/a.txt"); s != "a" || err != nil {
		t.Error(s, err)
	}
	if _, err := os.Stat(filepath.Join(f.ws, "missions")); err == nil {
		t.Error("missions was made")
	}
}

func TestRefusedRoots(t *testing.T) {
	f := newFixture(t)
	link(t, "../config/policies", filepath.Join(f.work, "policies"))
	put(t, filepath.Join(f.base, "x/.git/hooks/h"), "")
	for _, path := range []string{"config", "config/policies", "work/policies", "runtime", "work/.git", "../x/.git/hooks",
		"missing", "work/a.txt"} {
		if r, err := Open(f.ws, []string{path}, closed); err == nil {
			r.Close()
			t.Errorf("root %q was accepted", path)
		} else if !strings.HasPrefix(err.Error(), "root "+f.base) {
			t.Errorf("the error does not name the root: %v", err)
		}
	}
	if _, err := Open(f.ws, nil, closed); err == nil {
		t.Error("no roots were accepted")
	}
}

// TestReplacedRoot deletes a root and makes another one, as a fresh clone does under a running loop.
func TestReplacedRoot(t *testing.T) {
	f := newFixture(t)
	if err := os.Rename(f.work, f.work+".old"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.read("a.txt"); code(err) != NotFound {
		t.Fatal(err)
	}
	put(t, filepath.Join(f.work, "a.txt"), "new")
	if s, err := f.read("a.txt"); s != "new" || err != nil {
		t.Fatal(s, err)
	}
	if err := os.RemoveAll(f.work); err != nil {
		t.Fatal(err)
	}
	link(t, "config", f.work)
	if s, err := f.read("secret"); code(err) != Changed {
		t.Fatal("a root that became a link was followed:", s, err)
	}
}

func TestSeveralRoots(t *testing.T) {
	f := newFixture(t, "work", "docs", "work/sub")
	link(t, f.ws+"/docs/secret", filepath.Join(f.work, "doc"))
	for path, want := range map[string]string{f.ws + "/docs/secret": "public", "doc": "public", "a.txt": "a",
		f.work + "/sub/b.txt": "b"} {
		if s, err := f.read(path); s != want || err != nil {
			t.Errorf("%s: %q, %v", path, s, err)
		}
	}
	if _, err := f.read("secret"); code(err) != NotFound {
		t.Error("a relative path is relative to the first root:", err)
	}
	if got := f.Paths(); !slices.Equal(got, []string{f.work, f.ws + "/docs", f.work + "/sub"}) {
		t.Error(got)
	}
}

func TestListLimits(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"c", "b", "z/y", "z/x"} {
		put(t, filepath.Join(f.work, "many", name), "")
	}
	for _, c := range []struct {
		limit int
		want  string
		more  bool
	}{{10, "b c z/ z/x z/y", false}, {5, "b c z/ z/x z/y", false}, {4, "b c z/ z/x", true}, {1, "b", true}} {
		names, more, err := f.List("many", true, c.limit)
		if got := strings.Join(names, " "); got != c.want || more != c.more || err != nil {
			t.Errorf("limit %d: %q %v %v", c.limit, got, more, err)
		}
	}
}

func FuzzCheckName(f *testing.F) {
	for _, s := range []string{"a", ".git", "..", "．．", "GIT~1", "\u200b.git", "a\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		names, abs, _, err := split(s)
		if err != nil {
			return
		}
		for _, name := range names {
			if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00\\") ||
				strings.EqualFold(name, ".git") {
				t.Errorf("%q was split into %q", s, names)
			}
		}
		joined := strings.Join(names, "/")
		if abs {
			joined = "/" + joined
		}
		if filepath.Clean(s) != filepath.Clean(joined) {
			t.Errorf("%q is not %q", s, joined)
		}
	})
}
