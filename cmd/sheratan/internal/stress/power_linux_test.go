package stress_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// powerCase is something that is promised to survive a power loss. run does it on a disk, takes the power, and returns what is
// wrong afterwards. needs are the syncs without any one of which that must be seen, by operation and path: they are taken out
// one at a time. arm begins with that; a case calls it when what went before is over.
type powerCase struct {
	run   func(c *powered) []string
	needs []string
}

// powered is one run of a case.
type powered struct {
	*site
	disk *disk
	arm  func()
}

const (
	segment = `/[0-9]{3}/[0-9]{3}/[0-9]+\.jsonl`
	temp    = `/\.tmp-[^/]*`
)

var powerCases = map[string]powerCase{
	"a workspace that init made": {powerInit, []string{
		"sync names ws/runtime", "sync names ws/config", "sync names ws", "sync names ", "sync ws/config" + temp,
		"sync names ws/config/policies", "sync ws/config/policies" + temp, "sync ws" + temp}},
	"a submission that was acknowledged": {powerSubmit, []string{
		"sync ws/runtime/inbox/new" + temp, "sync names ws/runtime/inbox/new", "sync names ws/runtime/inbox"}},
	"jobs that a tick reported": {powerTick, []string{
		"sync ws/runtime/outbox/ledger" + segment, "sync names ws/runtime/outbox/ledger/000/000", "sync names ws/runtime/outbox/ledger/000",
		"sync names ws/runtime/outbox/ledger", "sync ws/runtime/outbox/documents" + segment, "sync names ws/runtime/outbox/documents/000/00[01]",
		"sync names ws/runtime/outbox/documents/000", "sync names ws/runtime/outbox/documents", "sync ws/runtime/outbox/results/.*",
		"sync names ws/runtime/outbox/results/.*", "sync names ws/runtime/outbox/results", "sync ws/work/\\.sheratan-.*", "sync names ws/work"}},
	"proposals without an id, once": {powerOnce, []string{"sync names ws/runtime/.sheratan/claimed"}},
	"the hashes of commits":         {powerGit, []string{"sync ws/runtime/.sheratan/git.head", "sync names ws/runtime/.sheratan"}},
	"an original with a credential": {powerPrivate, []string{
		"sync ws/runtime/.sheratan/private" + temp, "sync names ws/runtime/.sheratan/private"}},
	"a lock of the config":                              {powerLock, []string{"sync ws/config" + temp, "sync names ws/config"}},
	"what a reader made of the tail of a killed writer": {powerTail, []string{"sync ws/runtime/outbox/ledger" + segment}},
	"the first line of a segment of a killed writer": {powerNewSegment, []string{
		"sync ws/runtime/outbox/ledger" + segment, "sync names ws/runtime/outbox/ledger/000/00[01]"}},
	"a commit that failed":                {powerFailedCommit, []string{"sync ws/runtime/outbox/ledger" + segment}},
	"a segment that failed":               {powerFailedSegment, []string{"sync names ws/runtime/outbox/ledger/000/00[01]"}},
	"a torn line":                         {powerTorn, []string{"sync ws/runtime/.sheratan/torn" + temp, "sync names ws/runtime/.sheratan/torn"}},
	"documents that a killed writer left": {powerDocuments, []string{"sync ws/runtime/outbox/documents" + segment}},
	"documents that are in git":           {powerCommitted, []string{"sync ws/runtime/outbox/documents" + segment}},
}

// TestPower takes the power from the disk after what somebody was told, and finds all of it; then it takes out each sync that
// this rests on, once, and must find that something is lost.
func TestPower(t *testing.T) {
	t.Parallel()
	for name, c := range powerCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if wrong := c.with(t, ""); len(wrong) > 0 {
				t.Errorf("%q", wrong)
			}
			needs := c.needs
			if !long {
				needs = needs[:1]
			}
			for _, lost := range needs {
				t.Run("without "+strings.ReplaceAll(lost, "/", "|"), func(t *testing.T) {
					if wrong := c.with(t, lost); len(wrong) == 0 {
						t.Error("nothing is wrong without this sync: either nobody needs it, or this test does not see that")
					} else {
						t.Logf("as it should, this found %.300q", wrong)
					}
				})
			}
		})
	}
}

// with runs a case, without the syncs that match lost.
func (c powerCase) with(t *testing.T, lost string) []string {
	t.Helper()
	d := newDisk(t)
	pattern := regexp.MustCompile("^" + lost + "$")
	on := false
	rule := func(op, path string) verdict {
		if on && lost != "" && pattern.MatchString(op+" "+path) {
			return lose
		}
		return pass
	}
	d.obey(rule)
	return c.run(&powered{disk: d, site: &site{t: t, dir: filepath.Join(d.dir, "ws")}, arm: func() { on = true }})
}

// begin makes the workspace, and has all of it on the disk.
func (c *powered) begin() {
	c.t.Helper()
	c.site = newSiteIn(c.t, c.disk.dir, 2)
	c.disk.settle()
}

// cut takes the power and gives it back, as another boot would find the disk.
func (c *powered) cut(spared func(string) bool) {
	c.t.Helper()
	c.disk.powerOn(nil, spared)
	c.reboot()
}

// reboot has the workspace believe that the machine was started again.
func (s *site) reboot() {
	s.t.Helper()
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, name := range []string{"boot", "git.head"} {
		text, err := os.ReadFile(s.path(".sheratan", name))
		if err == nil {
			other := strings.ReplaceAll(string(text), strings.TrimSpace(string(boot)), "00000000-0000-0000-0000-000000000000")
			err = os.WriteFile(s.path(".sheratan", name), []byte(other), 0o600)
		}
		if err != nil && !os.IsNotExist(err) {
			s.t.Fatal(err)
		}
	}
}

// check runs a command that has to end with 0, and returns what is wrong.
func (s *site) check(args ...string) []string {
	s.t.Helper()
	if code, out, stderr := s.run(args...); code != 0 {
		return []string{fmt.Sprintf("%v: exit %d: %s%s", args, code, out, stderr)}
	}
	return nil
}

// settled lets the workspace come to rest after a power loss, and inspects it.
func (s *site) settled(e expectation) []string {
	s.t.Helper()
	for range 100 {
		code, out, stderr := s.run("tick", "--json")
		if code != 0 {
			return []string{fmt.Sprintf("tick: exit %d: %s", code, stderr)}
		}
		if out == "" && len(s.inbox()) == 0 {
			return s.inspect(e)
		}
	}
	return []string{"there is still something to do"}
}

// notPromised are files that are made again: the database, git, a cache, where the workspace lay, and a link for people. reboot changes git.head.
var notPromised = regexp.MustCompile(`^runtime/(\.sheratan/(index\.db|programs\.json|places\.json|git\.head)|\.git/|outbox/ledger\.jsonl)`)

// tree lists what is in the workspace, with the content of files.
func (s *site) tree() map[string]string {
	found := map[string]string{}
	err := filepath.WalkDir(s.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(s.dir, path)
		text := "a folder"
		if e.Type().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text = string(b)
		}
		if !notPromised.MatchString(rel) {
			found[rel] = text
		}
		return nil
	})
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	return found
}

func powerInit(c *powered) (wrong []string) {
	c.arm()
	c.must("init", c.dir)
	before := c.tree()
	c.cut(nil)
	after := c.tree()
	for path, text := range before {
		if got, ok := after[path]; !ok || got != text {
			wrong = append(wrong, path+": is not what it was")
		}
	}
	return wrong
}

func powerSubmit(c *powered) []string {
	c.begin()
	c.arm()
	c.must("submit", "--id", "one", "--source", "new", "--kind", "noop")
	c.cut(nil)
	return c.settled(expectation{jobs: map[string]want{"one": {}}})
}

func powerTick(c *powered) []string {
	c.arm()
	c.site = newSiteIn(c.t, c.disk.dir, 2)
	c.configure(func(config map[string]any) {
		gates := config["gates"].(map[string]any)
		kinds := gates["kinds"].(map[string]any)
		kinds["manual"] = []string{}
		kinds["allow"] = append(kinds["allow"].([]any), "file_write")
		gates["exec"] = append(gates["exec"].([]any), map[string]any{"program": "seq", "args": []string{"[0-9]+"}, "decision": "allow"})
	})
	for _, name := range []string{"ws", "ws/config", "ws/config/sheratan.json", ""} { // what an operator wrote is his own care
		c.disk.settlePath(name)
	}
	c.must("submit", "--id", "noop", "--kind", "noop")
	c.must("submit", "--id", "output", "--", "seq", "100000")
	c.must("submit", "--id", "write", "--kind", "file_write", "--param", "path=written.txt", "--param", "content=text")
	c.must("submit", "--id", "no", "--", "no-such-program")
	before := c.must("tick", "--json")
	c.cut(nil)
	wrong := append(c.check("tick"), c.check("ledger", "verify")...)
	if code, out, stderr := c.run("jobs", "--json"); code != 0 {
		wrong = append(wrong, stderr)
	} else {
		for _, j := range lines[jobLine](c.t, out) {
			if status := map[bool]string{true: "quarantined", false: "completed"}[j.ID == "no"]; j.Status != status {
				wrong = append(wrong, fmt.Sprintf("%s is %s; the tick said %s", j.ID, j.Status, before))
			}
		}
	}
	if text, err := os.ReadFile(filepath.Join(c.dir, "work", "written.txt")); string(text) != "text" {
		wrong = append(wrong, fmt.Sprintf("written.txt: %q, %v", text, err))
	}
	if len(wrong) > 0 {
		return wrong
	}
	return c.settled(expectation{jobs: map[string]want{"noop": {}, "output": {}, "write": {}, "no": {fate: blocked}}})
}

func powerOnce(c *powered) []string {
	c.begin()
	doc := `{"payload":{"kind":"noop","params":{}}}`
	c.put("one.json", doc)
	c.put("two.ready.jsonl", doc+"\n"+doc+"\n")
	c.disk.settle()
	c.arm()
	c.must("tick")
	c.cut(nil)
	return c.settled(expectation{files: map[string]int{"one.json": 1, "two.ready.jsonl": 2}})
}

func powerGit(c *powered) []string {
	c.begin()
	os.Remove(c.path(".sheratan", "git.head"))
	c.disk.settle()
	c.arm()
	for i := range 3 {
		c.must("submit", "--id", fmt.Sprint("job", i), "--kind", "noop")
		c.must("tick")
	}
	before := c.hashes()
	c.cut(nil)
	if wrong := c.settled(expectation{jobs: map[string]want{"job0": {}, "job1": {}, "job2": {}}}); len(wrong) > 0 {
		return wrong
	}
	if after := c.hashes(); !strings.HasSuffix(after, before) {
		return []string{fmt.Sprintf("git had the commits %s, and has %s", before, after)}
	}
	return nil
}

// hashes are those of the commits, the last one first.
func (s *site) hashes() string {
	out, err := exec.Command("git", "-C", s.path(), "log", "--format=%H").CombinedOutput()
	if err != nil {
		s.t.Errorf("git log: %v: %s", err, out)
	}
	return string(out)
}

func powerPrivate(c *powered) []string {
	c.begin()
	secret := "AKIA" + "Z7QXW3NVT5RMK2LD"
	c.must("submit", "--id", "leaks", "--kind", "noop", "--param", "key="+secret)
	c.disk.settle()
	c.arm()
	c.must("gate", "--exit-zero")
	files := func() string {
		var all []byte
		list, _ := filepath.Glob(c.path(".sheratan", "private", "*"))
		for _, path := range list {
			text, err := os.ReadFile(path)
			if err != nil {
				c.t.Error(err)
			}
			all = append(all, text...)
		}
		return string(all)
	}
	if !strings.Contains(files(), secret) {
		c.t.Errorf("the original is not kept: %q", files())
	}
	c.cut(nil)
	if !strings.Contains(files(), secret) {
		return []string{"the original is lost"}
	}
	return c.settled(expectation{jobs: map[string]want{"leaks": {fate: blocked}}})
}

func powerLock(c *powered) []string {
	c.begin()
	c.arm()
	c.must("config", "lock")
	before := c.tree()
	c.cut(nil)
	after := c.tree()
	for path, text := range before {
		if strings.HasPrefix(path, "config/") && after[path] != text {
			return []string{path + " is not what it was"}
		}
	}
	return nil
}

// killedAt starts a command and kills it at its first sync for which at holds, which then does not happen.
func (c *powered) killedAt(at func(op, path string) bool, args ...string) {
	c.t.Helper()
	p := make(chan *process, 1)
	done := false
	old := c.disk.rule
	c.disk.obey(func(op, path string) verdict {
		if !done && at(op, path) {
			done = true
			victim := <-p
			victim.Process.Kill()
			return lose
		}
		return old(op, path)
	})
	victim := c.start("", args...)
	p <- victim
	if code := victim.wait(); code != -1 || !done {
		c.t.Fatalf("%v: was not killed: exit %d: %s", args, code, victim.err.String())
	}
	c.disk.obey(old)
}

var (
	ledgerSegment   = regexp.MustCompile("^ws/runtime/outbox/ledger" + segment + "$")
	documentSegment = regexp.MustCompile("^ws/runtime/outbox/documents" + segment + "$")
	// database is what a power loss may spare: SQLite promises nothing about what was not synced.
	database = func(path string) bool { return strings.HasPrefix(path, "ws/runtime/.sheratan/index.db") }
)

func ofLedger(op, path string) bool { return op == syncFile && ledgerSegment.MatchString(path) }

func powerTail(c *powered) []string {
	c.begin()
	c.killedAt(ofLedger, "pause", "--reason", "a test")
	c.arm()
	before := c.must("status", "--json")
	if !strings.Contains(before, "a test") {
		c.t.Fatalf("the reader does not know of the event: %s", before)
	}
	c.cut(database)
	return append(c.check("ledger", "verify"), c.check("resume")...)
}

// proposeMuch has so much lie in the inbox that the next gate begins new segments of ledger and documents.
func (c *powered) proposeMuch() {
	c.t.Helper()
	var b strings.Builder
	for n := range 300 {
		fmt.Fprintf(&b, `{"id":"much-%d","payload":{"kind":"noop","params":{}}}`+"\n", n)
	}
	c.put("much.ready.jsonl", b.String())
	c.disk.settle()
}

// newSegment is a condition for the first sync of a segment of the ledger that begins with more than a line from when it is
// made, and how many lines come before.
func (c *powered) newSegment() (at func(op, path string) bool, before func() int) {
	last, first := c.size(), 0
	return func(op, path string) bool {
		n, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(path), ".jsonl"))
		if !ofLedger(op, path) || err != nil || n < last {
			return false
		}
		first = n
		return true
	}, func() int { return first }
}

func powerNewSegment(c *powered) []string {
	c.begin()
	c.proposeMuch()
	at, _ := c.newSegment()
	c.killedAt(at, "tick")
	c.arm()
	c.must("status")
	c.cut(database)
	return append(c.check("tick"), c.check("ledger", "verify")...)
}

// broken has the first sync for which at holds fail though its data is on the disk, and a command with it.
func (c *powered) broken(at func(op, path string) bool, args ...string) {
	c.t.Helper()
	done := false
	old := c.disk.rule
	c.disk.obey(func(op, path string) verdict {
		if !done && at(op, path) {
			done = true
			c.arm()
			return fail
		}
		return old(op, path)
	})
	if code, out, stderr := c.run(args...); code != 1 || !done {
		c.t.Fatalf("%v with a disk that fails: exit %d: %s%s", args, code, out, stderr)
	}
	c.disk.obey(old)
}

// size is how many lines the ledger has.
func (s *site) size() int { return strings.Count(s.must("ledger", "log", "--json"), "\n") }

func powerFailedCommit(c *powered) []string {
	c.begin()
	before := c.size()
	c.broken(ofLedger, "pause", "--reason", "a test")
	c.cut(nil)
	if after := c.size(); after != before {
		return []string{fmt.Sprintf("the ledger had %d lines, the command failed, and now it has %d", before, after)}
	}
	return c.check("ledger", "verify")
}

func powerFailedSegment(c *powered) []string {
	c.begin()
	c.proposeMuch()
	at, before := c.newSegment()
	c.broken(func(op, path string) bool {
		at(op, path)
		return before() > 0 && op == syncNames && strings.HasPrefix(path, "ws/runtime/outbox/ledger/000/")
	}, "tick")
	c.cut(nil)
	if after := c.size(); after != before() {
		return []string{fmt.Sprintf("the ledger had %d lines, the command failed, and now it has %d", before(), after)}
	}
	return append(c.check("tick"), c.check("ledger", "verify")...)
}

func powerTorn(c *powered) (wrong []string) {
	c.begin()
	list, err := filepath.Glob(c.path("outbox", "ledger", "000", "000", "*"))
	if err != nil || len(list) != 1 {
		c.t.Fatal(list, err)
	}
	f, err := os.OpenFile(list[0], os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(`{"half a line`)
		f.Close()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	os.RemoveAll(c.path(".sheratan", "torn"))
	os.Mkdir(c.path(".sheratan", "torn"), 0o755)
	c.disk.settle()
	c.arm()
	c.must("pause", "--reason", "a test")
	c.cut(nil)
	torn, err := filepath.Glob(c.path(".sheratan", "torn", "*"))
	if err != nil || len(torn) != 1 {
		wrong = append(wrong, fmt.Sprintf("torn lines that were kept: %v, %v", torn, err))
	} else if text, err := os.ReadFile(torn[0]); string(text) != `{"half a line` {
		wrong = append(wrong, fmt.Sprintf("%s: %q, %v", torn[0], text, err))
	}
	return append(wrong, c.check("ledger", "verify")...)
}

func ofDocuments(op, path string) bool { return op == syncFile && documentSegment.MatchString(path) }

func powerDocuments(c *powered) []string {
	c.begin()
	c.proposeMuch()
	c.killedAt(ofDocuments, "gate")
	c.arm()
	c.must("gate")
	c.cut(nil)
	return c.settled(expectation{jobs: map[string]want{"much-0": {}, "much-299": {}}})
}

func powerCommitted(c *powered) []string {
	c.begin()
	c.must("submit", "--id", "first", "--kind", "noop")
	c.must("tick")
	c.put("second.json", `{"id":"second","payload":{"kind":"noop","params":{}}}`)
	c.disk.settle()
	c.killedAt(ofDocuments, "gate")
	c.arm()
	c.must("pause", "--reason", "a test")
	c.cut(func(path string) bool { return strings.HasPrefix(path, "ws/runtime/.git") || path == "ws/runtime/.git" })
	if wrong := c.check("resume"); len(wrong) > 0 {
		return wrong
	}
	return c.settled(expectation{jobs: map[string]want{"first": {}, "second": {}}})
}

// TestPowerAtRandom takes the power at random moments. Of what was not synced then, any part may be there.
func TestPowerAtRandom(t *testing.T) {
	t.Parallel()
	rounds := 3
	if long {
		rounds = 40
	}
	begin := seed(t)
	for round := range rounds {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			d := newDisk(t)
			s := newSiteIn(t, d.dir, 4)
			d.settle()
			luck := rand.New(rand.NewPCG(begin, uint64(round)))
			jobs, files := map[string]want{}, map[string]int{}
			for range 3 {
				name := fmt.Sprintf("lines-%d.ready.jsonl", len(jobs))
				s.put(name, strings.Repeat(`{"payload":{"kind":"noop","params":{}}}`+"\n", 30))
				files[name] = 30
				d.settle()
				left := luck.IntN(150)
				d.obey(func(string, string) verdict {
					if left--; left < 0 {
						return cut
					}
					return pass
				})
				tick := s.start("", "tick", "--json")
				for n := range 10 {
					id := fmt.Sprintf("job-%d-%d", len(jobs), n)
					if code, _, _ := s.run("submit", "--id", id, "--kind", "noop"); code == 0 {
						jobs[id] = want{}
					}
				}
				select {
				case <-tick.done:
				case <-time.After(time.Duration(luck.IntN(500)) * time.Millisecond):
				}
				d.powerOff()
				tick.kill()
				d.powerOn(luck, nil)
				s.reboot()
			}
			for _, complaint := range s.settled(expectation{jobs: jobs, files: files}) {
				t.Error(complaint)
			}
		})
	}
}

// TestPowerNeedsNothingElse lists the syncs that the cases ask for and none of them needs, each with the reason why not.
func TestPowerNeedsNothingElse(t *testing.T) {
	t.Parallel()
	if !long {
		t.Skip("runs all cases again; SHERATAN_LONG=1")
	}
	spare := []string{
		`sync(| names) ws/runtime/\.sheratan(/index\.db.*)?`,                            // of SQLite, whose loss a rebuild makes good; the names are needed for git.head
		`sync ws/runtime/\.sheratan/\.tmp-.*`,                                           // boot: a reboot is seen to once more
		`sync(| names) ws/runtime/\.git.*`,                                              // the frame is made again
		`sync names ws/(missions|work|config/(trust|kinds))`, `sync ws/config/kinds/.*`, // as of config and policies
		`sync names ws/runtime/(queue|outbox)(/approved|/blocked|/replies|/documents|/ledger)?`,
		`sync names ws/runtime/\.sheratan/(jobs|slots|projecting|claimers|private|torn|claimed)`, // empty folders
		`sync(| names) ws/runtime/inbox/operator.*`,                                              // as of inbox/new
	}
	var needed []*regexp.Regexp
	for _, c := range powerCases {
		for _, need := range c.needs {
			needed = append(needed, regexp.MustCompile("^"+need+"$"))
		}
	}
	for _, text := range spare {
		needed = append(needed, regexp.MustCompile("^"+text+"$"))
	}
	for name, c := range powerCases {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t)
			var unknown []string
			d.obey(func(op, path string) verdict {
				if path != "" && !strings.HasPrefix(path, "ws") {
					return pass // of programs that find their home here
				}
				if text := op + " " + path; !slices.ContainsFunc(needed, func(p *regexp.Regexp) bool { return p.MatchString(text) }) {
					unknown = append(unknown, text)
				}
				return pass
			})
			c.run(&powered{disk: d, site: &site{t: t, dir: filepath.Join(d.dir, "ws")}, arm: func() {}})
			for _, text := range unknown {
				t.Errorf("%s: no case needs this sync, and nothing says why not", text)
			}
		})
	}
}
