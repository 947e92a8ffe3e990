package workspace

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestScanJudgesNames(t *testing.T) {
	w := newWorkspace(t)
	in := w.Inbox()
	for _, name := range []string{"a.json", "b.jsonl", "c.ready.jsonl", "a.json.sig", ".hidden.json", "x.json~", "y.json.tmp",
		"notes.txt", "UPPER.JSON", "new\nline.json", "bad\xffutf8.json", "agent-1/p.json"} {
		write(t, in+"/"+name, "{}")
	}
	for _, dir := range []string{"bad name", ".git", "dir.json", "agent-1/sub", "empty"} {
		if err := os.MkdirAll(in+"/"+dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(in+"/pipe.json", 0o644); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"link.json", "linkdir"} {
		if err := os.Symlink("/etc", in+"/"+link); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]Entry{}
	entries, s := drain(t, w, 3)
	for _, e := range entries {
		got[e.Source+":"+e.Name] = e
	}
	want := map[string]struct {
		typ     string
		problem Problem
	}{
		"inbox:a.json":           {TypeFile, ""},
		"inbox:b.jsonl":          {TypeFile, ""},
		"inbox:c.ready.jsonl":    {TypeFile, ""},
		"inbox:new\nline.json":   {TypeFile, ProblemName},
		"inbox:bad\xffutf8.json": {TypeFile, ProblemName},
		"inbox:bad name":         {TypeFolder, ProblemSource},
		"inbox:dir.json":         {TypeFolder, ProblemSource},
		"inbox:pipe.json":        {TypeFIFO, ProblemType},
		"inbox:link.json":        {TypeSymlink, ProblemType},
		"inbox:linkdir":          {TypeSymlink, ProblemType},
		"agent-1:p.json":         {TypeFile, ""},
		"agent-1:sub":            {TypeFolder, ProblemType},
	}
	for name, e := range want {
		g, ok := got[name]
		if !ok {
			t.Errorf("%q: not listed", name)
		} else if g.Type != e.typ || g.Problem != e.problem {
			t.Errorf("%q: type %q problem %q, want %q %q", name, g.Type, g.Problem, e.typ, e.problem)
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("%q: listed", name)
	}
	notes := fmt.Sprint(s.Strays())
	for _, name := range []string{"notes.txt", "UPPER.JSON"} {
		if !strings.Contains(notes, name) {
			t.Errorf("no note about %s in %q", name, notes)
		}
	}
	if sources := s.Sources(); !slices.Contains(sources, "empty") || slices.Contains(sources, "linkdir") {
		t.Errorf("sources %q", sources)
	}
}

// A source is asked for by its name where it has jobs already. A link in the place of its folder leads nowhere.
func TestScanFollowsNoLink(t *testing.T) {
	w := newWorkspace(t)
	outside := t.TempDir()
	write(t, outside+"/p.json", "{}")
	if err := os.Symlink(outside, w.InboxOf("agent-1")); err != nil {
		t.Fatal(err)
	}
	write(t, w.InboxOf("agent-2")+"/p.json", "{}")
	entries, _ := drain(t, w, 10, "agent-1", "agent-2")
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	if got, want := names(entries), []string{"inbox:agent-1", "agent-2:p.json"}; !slices.Equal(got, want) || entries[0].Problem != ProblemType {
		t.Errorf("%q, want %q, the first refused", got, want)
	}
}

// A folder with very many names must not be read to its end before another one gets its turn.
func TestScanIsFair(t *testing.T) {
	w := newWorkspace(t)
	const many, portion = 20_000, 100
	if err := os.Mkdir(w.InboxOf("big"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, w.InboxOf("big")+"/0.json", "{}")
	for i := 1; i < many; i++ {
		if err := os.Link(w.InboxOf("big")+"/0.json", fmt.Sprintf("%s/%d.json", w.InboxOf("big"), i)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, w.InboxOf("small")+"/one.json", "{}")
	s, err := w.Scan("big", "small")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	seen := 0
	for {
		entries, err := s.Next(portion)
		if err != nil {
			t.Fatalf("after %d entries: %v", seen, err)
		}
		if len(entries) > portion {
			t.Fatalf("%d entries in one portion", len(entries))
		}
		if slices.ContainsFunc(entries, func(e Entry) bool { return e.Source == "small" }) {
			break
		}
		seen += len(entries)
	}
	if seen > 3*portion {
		t.Errorf("the small source came after %d entries of the big one", seen)
	}
	for {
		entries, err := s.Next(portion)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		seen += len(entries)
	}
	if seen != many {
		t.Errorf("%d entries of the big source, want %d", seen, many)
	}
}

func TestScanGoesOnWhileEntriesAreClaimed(t *testing.T) {
	w := newWorkspace(t)
	const many = 2500
	for i := range many {
		write(t, fmt.Sprintf("%s/%04d.json", w.InboxOf("s"), i), "{}")
	}
	c := claimer(t, w, time.Now)
	s, err := w.Scan("s")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	taken := map[string]bool{}
	for {
		entries, err := s.Next(100)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			claim, err := c.Take(e, 100, parses)
			if err != nil {
				t.Fatal(err)
			}
			if taken[claim.Name] {
				t.Fatalf("%s was listed twice", claim.Name)
			}
			taken[claim.Name] = true
		}
	}
	rest, _ := drain(t, w, 1000)
	if len(taken)+len(rest) != many {
		t.Errorf("%d taken and %d left of %d", len(taken), len(rest), many)
	}
}

func TestEscapeName(t *testing.T) {
	for _, name := range []string{"a.json", "new\nline", "bad\xff", "a~b%41", "ü", "%", "", "../x"} {
		e := EscapeName(name)
		if strings.ContainsFunc(e, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' || r == '~' }) {
			t.Errorf("%q is escaped to %q", name, e)
		}
		if back := unescapeName(e); back != name {
			t.Errorf("%q comes back as %q", name, back)
		}
	}
}

func FuzzToken(f *testing.F) {
	f.Add("a.json")
	f.Add(strings.Repeat("ü", 120) + ".jsonl")
	f.Add(strings.Repeat("x", 250))
	f.Add("\xff\n~%.json")
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" || len(name) > 255 || strings.ContainsAny(name, "/\x00") {
			t.Skip()
		}
		e := Entry{Source: "s." + strings.Repeat("y", 60), Name: name}
		token, err := newToken([4]byte{1, 2, 3, 4}, strings.NewReader(strings.Repeat("r", 16)), e)
		if err != nil {
			t.Fatal(err)
		}
		p, ok := parseToken(token)
		if !ok || len(token) > maxToken {
			t.Fatalf("%q of %d bytes does not parse", token, len(token))
		}
		if p.source != e.Source || strings.HasSuffix(p.file, ".jsonl") != e.Lines() {
			t.Fatalf("%q: source %q, file %q", token, p.source, p.file)
		}
		if !strings.Contains(p.file, "~") && unescapeName(p.file) != name {
			t.Fatalf("%q: name %q comes back as %q", token, name, unescapeName(p.file))
		}
		if [4]byte(p.uuid[:4]) != [4]byte{1, 2, 3, 4} {
			t.Fatalf("%q: wrong session", token)
		}
	})
}

func TestParseTokenRejects(t *testing.T) {
	const u = "01020304-7272-4272-b272-727272727272"
	if _, ok := parseToken(u + "~s~a.json"); !ok {
		t.Fatal("a good token is refused")
	}
	for _, s := range []string{"", u, u + "~s", u + "~s~", u + "~~a", u + "~s~a b", u + "~s~a%4", u + "~s~a%zz", u + "~.s~a",
		strings.ToUpper("a1"+u[2:]) + "~s~a", u + "~s~a~b~c", "x" + u[1:] + "~s~a", u + "~s~" + strings.Repeat("a", 200)} {
		if _, ok := parseToken(s); ok {
			t.Errorf("%q is taken for a token", s)
		}
	}
}
