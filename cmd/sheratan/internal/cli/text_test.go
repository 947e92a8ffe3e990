package cli

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
)

func TestParseRange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in       string
		from, to int64
		bad      bool
	}{
		{in: "12", from: 12, to: 13}, {in: "12-20", from: 12, to: 21}, {in: "12-", from: 12}, {in: "-20", to: 21}, {in: "0", to: 1},
		{in: "-", bad: true}, {in: "", bad: true}, {in: "x", bad: true}, {in: "1-x", bad: true}, {in: "9-2", bad: true},
		{in: "1-2-3", bad: true}, {in: "99999999999999999999", bad: true},
	} {
		from, to, err := parseRange(c.in)
		if (err != nil) != c.bad || err == nil && (from != c.from || to != c.to) {
			t.Errorf("%q: %d to %d, %v", c.in, from, to, err)
		}
	}
}

func TestParseMoment(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"2h": "2026-01-02T13:04:05Z", "3d": "2025-12-30T15:04:05Z", "90s": "2026-01-02T15:02:35Z",
		"2026-01-01": "2026-01-01T00:00:00Z", "2026-01-01T10:00": "2026-01-01T10:00:00Z", "2026-01-01 10:00:30": "2026-01-01T10:00:30Z",
		"2026-01-01T10:00:00+02:00": "2026-01-01T08:00:00Z", "0d": "2026-01-02T15:04:05Z",
	} {
		if got, err := parseMoment(in, testNow); err != nil || got.UTC().Format(time.RFC3339) != want {
			t.Errorf("%q: %v, %v, want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"tomorrow", "-2h", "-1d", "1.5d", "d", "2026-13-01", "12"} {
		if got, err := parseMoment(in, testNow); err == nil {
			t.Errorf("%q: %v, want an error", in, got)
		}
	}
	if got, err := parseMoment("", testNow); err != nil || !got.IsZero() {
		t.Errorf("nothing: %v, %v", got, err)
	}
}

func TestClockTime(t *testing.T) {
	t.Parallel()
	a := testApp(testEnv())
	for in, want := range map[string]string{
		job.FormatTime(testNow.Add(-time.Hour)):      "14:04:05",
		job.FormatTime(testNow.Add(-24 * time.Hour)): "Jan 01 15:04",
		job.FormatTime(testNow.AddDate(-1, 0, 0)):    "2025-01-02",
		"":           "",
		"not a time": "not a time",
	} {
		if got := a.clockTime(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	a.env.Now = func() time.Time { return testNow.In(time.FixedZone("here", 3*3600)) }
	if got := a.clockTime(job.FormatTime(testNow)); got != "18:04:05" {
		t.Errorf("three hours to the east: %q", got)
	}
}

func TestShortDuration(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0ms", 12 * time.Millisecond: "12ms", 1500 * time.Millisecond: "1.5s", 90 * time.Second: "1m30s",
		90 * time.Minute: "1h30m", 72 * time.Hour: "3d",
	} {
		if got := shortDuration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// TestTable: columns are aligned whatever the colours, cells are escaped, no spaces stand at the end of a line.
func TestTable(t *testing.T) {
	t.Parallel()
	print := func(s style) string {
		tab := &table{style: s, header: []string{"ID", "STATUS", "WHAT"}}
		tab.add("a", "completed", "x")
		tab.add("längere-id", "failed", "evil\x1b[2J\nline")
		tab.add("b", "", "")
		var b bytes.Buffer
		if err := tab.flush(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	want := "ID          STATUS     WHAT\n" +
		"a           completed  x\n" +
		"längere-id  failed     evil\\x1b[2J\\nline\n" +
		"b\n"
	if got := print(style{}); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	plain := strings.NewReplacer("\x1b[0m", "", "\x1b[2m", "", "\x1b[31m", "", "\x1b[32m", "").Replace(print(style{on: true}))
	if plain != want {
		t.Errorf("with the colours taken away\n%swant\n%s", plain, want)
	}
}

// TestProgress: nothing before half a second, then a line that is wiped before anything else is said.
func TestProgress(t *testing.T) {
	t.Parallel()
	env := testEnv()
	now := testNow
	env.Now = func() time.Time { return now }
	if p := testApp(env).progress("working"); p != nil {
		t.Error("a progress line without a terminal")
	}
	env.StderrTTY = true
	a := testApp(env)
	p := a.progress("working")
	p.set(1, 10)
	if env.stderr.Len() > 0 {
		t.Errorf("too early: %q", env.stderr.String())
	}
	now = now.Add(time.Second)
	p.set(5, 10)
	a.people.warn("look")
	got := env.stderr.String()
	if !strings.Contains(got, "working: 5 of 10 (50%)") || !strings.Contains(got, "\r\x1b[Ksheratan: ") {
		t.Errorf("stderr %q", got)
	}
	// A step that begins is shown at once, and its numbers as those of others are.
	env.stderr.Reset()
	p.step("resting", 0, 0)
	p.step("resting", 7, 0)
	if got := env.stderr.String(); got != "\r\x1b[Kresting" {
		t.Errorf("a step begins with %q", got)
	}
	now = now.Add(time.Second)
	p.step("resting", 8, 0)
	if got := env.stderr.String(); !strings.HasSuffix(got, "\r\x1b[Kresting: 8") {
		t.Errorf("then %q", got)
	}
	(*progress)(nil).step("nobody sees it", 1, 2)
}

// TestWarnOnce: the same warning is given once, the same note each time.
func TestWarnOnce(t *testing.T) {
	t.Parallel()
	env := testEnv()
	a := testApp(env)
	a.people.warn("w")
	a.people.warn("w")
	a.people.note("n")
	a.people.note("n\x1b[2J")
	want := "sheratan: warning: w\nsheratan: note: n\nsheratan: note: n\\x1b[2J\n"
	if got := env.stderr.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestInsideJobOfAncestor: the job id is found in the environment of the process that started us, also when our own has
// been cleaned.
func TestInsideJobOfAncestor(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/environ"); err != nil {
		t.Skip("no /proc")
	}
	none := func(string) string { return "" }
	if id := InsideJob(none); id != "" {
		t.Skipf("the test itself runs inside job %s", id)
	}
	if id := InsideJob(func(string) string { return "own" }); id != "own" {
		t.Errorf("own environment: %q", id)
	}
	if got, want := parentOf(os.Getpid()), os.Getppid(); got != want {
		t.Errorf("parent %d, want %d", got, want)
	}
	cmd := exec.Command("sh", "-c", "read line")
	cmd.Env = []string{"A=1", jobVariable + "=job-9", "PATH=" + os.Getenv("PATH")}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The kernel hands the environment over a moment after it has closed what Start waits for.
	got := ""
	for range 500 {
		if got = jobOf(cmd.Process.Pid); got != "" {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if got != "job-9" {
		t.Errorf("job of the child: %q", got)
	}
	_ = in.Close()
	_ = cmd.Wait()
	if got := jobOf(cmd.Process.Pid); got != "" {
		t.Errorf("job of a process that is gone: %q", got)
	}
}

// One long cell makes one long row, and no others.
func TestTableWithALongCell(t *testing.T) {
	t.Parallel()
	tb := &table{header: []string{"ID", "ERROR", "KIND"}}
	long := strings.Repeat("x", 200<<10)
	tb.add("a", "short", "noop")
	tb.add("b", long, "noop")
	tb.add("c", strings.Repeat("y", widestPadded), "noop")
	var b bytes.Buffer
	if err := tb.flush(&b); err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(b.String(), "\n")
	if !strings.Contains(rows[2], long+"  noop") {
		t.Errorf("the long cell is not whole: %.100s", rows[2])
	}
	for _, i := range []int{0, 1, 3} {
		if n := len(rows[i]); n > widestPadded+20 {
			t.Errorf("row %d has %d bytes", i, n)
		}
	}
	if at := strings.Index(rows[1], "noop"); at != strings.Index(rows[3], "noop") || at < widestPadded {
		t.Errorf("the others do not stand below one another: %q", rows[1])
	}
}
