package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// note is a proposal that needs an operator.
func note(id, content string) []byte {
	return fmt.Appendf(nil, `{"id": %q, "payload": {"kind": "file_write", "params": {"path": "%s.txt", "content": %q, "mode": "create"}}}`, id, id, content)
}

// decisions are the lines of the ledger that an operator's word made.
func decisions(s *site, event string) string {
	s.t.Helper()
	return string(s.must("ledger", "log", "--json", "--event", event))
}

// TestReview decides on a terminal, a key a job, and looks for all of it in the ledger.
func TestReview(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.setConfig(`"scripts": false`, `"scripts": true`)
	s.write("runtime/inbox/crawler/b.json", note("second", "two"))
	s.write("runtime/inbox/crawler/c.json", note("third", "three"))
	s.write("runtime/inbox/crawler/d.json", note("fourth", "four"))
	s.write("runtime/inbox/crawler/e.json", note("fifth", "five"))
	s.write("runtime/inbox/crawler/f.json", []byte(`{"id": "hidden", "payload": {"kind": "file_read", "params": {"path": "a\u200b.txt"}}}`))
	s.stdin([]byte(strings.Replace(string(note("first", "one")), "{", `{"priority": "high", `, 1)), 0, "submit", "-")
	s.must("tick")
	s.write("editor.sh", []byte("#!/bin/sh\nsed -i s/three/3/ \"$1\"\n"))
	if err := os.Chmod(s.path("editor.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := s.command(s.ws, "review", "--no-color", "--all")
	cmd.Env = append(cmd.Env, "EDITOR="+s.path("editor.sh"), "VISUAL=", "TERM=xterm")
	term := newTerminal(t, cmd, 100, 40)

	term.expect("1 of 6  first")
	term.expect(`"content": "one"`)
	term.expect("a approve")
	term.press("a")
	term.expect("1 of 5  second")
	term.expect("first  approved")
	// The same key twice decides two jobs, and a key that means nothing none.
	term.press("zr")
	term.expect("why? _")
	term.press("not on\x7f\x7fin my house\r")
	term.expect("1 of 4  third")
	term.expect("second  cancelled")
	// What somebody else decides meanwhile is taken notice of.
	s.must("reject", "fourth")
	term.press("n")
	term.expect("fourth is cancelled now")
	term.press("b")
	// An editor has the terminal in between. What it makes needs an operator again, and comes next.
	term.expect("third")
	term.press("e")
	term.expect(`"content": "3"`)
	term.expect("blocked")
	term.press("a")
	term.expect("approved")
	// What the gates suggest is a diff, and one key away.
	term.press("n")
	term.expect("suggested by the gates")
	term.expect(`-      "path": "a\u200b.txt"`)
	term.expect(`+      "path": "a.txt"`)
	term.press("a") // nobody may allow it as it is
	term.expect("not for an operator to allow")
	term.press("g")
	term.expect("approved")
	// A tick works while somebody thinks.
	s.must("tick")
	term.press("q")
	term.expect("first  approved") // behind the pictures, where it stays
	term.end(0)

	for id, want := range map[string]string{"first": "completed", "second": "cancelled", "third": "cancelled", "fourth": "cancelled", "fifth": "quarantined", "hidden": "cancelled"} {
		if got := s.status(id); got != want {
			t.Errorf("%s is %s, want %s", id, got, want)
		}
	}
	approved, rejected := decisions(s, "OPERATOR_APPROVED"), decisions(s, "OPERATOR_REJECTED")
	uid := os.Getuid()
	if s.uid >= 0 {
		uid = s.uid
	}
	actor := fmt.Sprintf(`"actor":"uid:%d"`, uid)
	if n := strings.Count(approved, "\n"); n != 2 || strings.Count(approved, actor) != 2 || strings.Count(approved, `"tty":true`) != 2 {
		t.Errorf("%d approvals:\n%s", n, approved)
	}
	if !strings.Contains(rejected, "not in my house") || strings.Count(rejected, actor) != 2 {
		t.Errorf("rejections:\n%s", rejected)
	}
	if got := string(readFile(t, s.path("work/first.txt"))); got != "one" {
		t.Errorf("first.txt has %q", got)
	}
	s.must("ledger", "verify")
}

// TestReviewReadsFirst: nothing is approved that was not on the screen as a whole.
func TestReviewReadsFirst(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write("runtime/inbox/crawler/long.json", note("long", strings.Repeat("line\n", 400)))
	s.must("tick")
	term := newTerminal(t, s.command(s.ws, "review", "--no-color"), 80, 20)
	term.expect("1 of 1  long")
	term.press("a")
	term.expect("read it to its end first")
	term.press("\x1b[F") // what is jumped over was not on the screen
	term.expect("sha256")
	term.press("a")
	term.expect("read it to its end first")
	term.press("\x1b[H" + strings.Repeat("\x1b[6~", 40)) // in one piece, and each shown
	term.press("a")
	term.end(0)
	if got := s.status("long"); got != "pending" {
		t.Errorf("it is %s", got)
	}
}

// TestReviewRefuses: without a terminal nobody is asked, and Ctrl-C decides nothing.
func TestReviewRefuses(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write("runtime/inbox/crawler/note.json", note("note", "x"))
	s.must("tick")
	s.fails(1, []string{"needs a terminal", "hint: sheratan jobs"}, "review")
	s.fails(64, []string{"not both"}, "review", "note", "--all")
	cmd := s.command(s.ws, "review")
	cmd.Env = append(cmd.Env, "SHERATAN_JOB_ID=other")
	term := newTerminal(t, cmd, 80, 20)
	term.expect("a job decides nothing")
	term.end(1)
	for keys, code := range map[string]int{"\x03": 130, "\x04": 0} {
		term := newTerminal(t, s.command(s.ws, "review"), 80, 20)
		term.expect("note")
		term.press(keys)
		term.end(code)
	}
	term = newTerminal(t, s.command(s.ws, "review"), 80, 20)
	term.expect("note")
	if err := term.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	term.end(130)
	if got := s.status("note"); got != "quarantined" {
		t.Errorf("it is %s", got)
	}
	s.must("gate") // nothing was left locked
}
