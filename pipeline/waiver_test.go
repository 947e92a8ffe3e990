package pipeline

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// otherSecret has the form of secret.
const otherSecret = "ghp_Jw4mT8xQ2nV6kS9rY3bC7zD1hL5gP0fUoEiA"

// clothes are forms in which a value may be written down.
func clothes(value string) []string {
	back := []byte(value)
	slices.Reverse(back)
	list := []string{value, string(back), hex.EncodeToString([]byte(value)), strings.ToUpper(hex.EncodeToString([]byte(value))),
		url.QueryEscape(strings.ReplaceAll(value, "_", "%5F")), strings.Join(strings.Split(value, ""), "\x00")}
	for at := range 3 {
		text := base64.RawStdEncoding.EncodeToString([]byte("xx"[:at%3] + value))
		list = append(list, text[4:len(text)-4])
	}
	return list
}

// leaks lists the files below runtime, without those that only the operator reads, that have the value in any clothes.
func (w *world) leaks(value string) (found []string) {
	w.t.Helper()
	private := w.ws.Rel(w.ws.Private())
	for _, text := range clothes(value) {
		for _, path := range w.holding(text) {
			if !strings.HasPrefix(path, private) {
				found = append(found, path)
			}
		}
	}
	return found
}

// waive approves a job with waivers of these names.
func (w *world) waive(id string, names ...string) error {
	w.t.Helper()
	review := w.review(id)
	if err := w.p.Waive(w.t.Context(), &review[0], names); err != nil {
		return err
	}
	return w.approve(review)
}

func (w *world) waivers(id string) (list []ledger.Waived) {
	w.t.Helper()
	for _, ev := range w.events(id) {
		if ev.Event == job.FindingWaived {
			var m ledger.Waived
			w.check(ev.DecodeMeta(&m))
			list = append(list, m)
		}
	}
	return list
}

// A finding is waived for one job, which then runs with what was proposed. Nothing else has it: not what the job writes either.
func TestWaiver(t *testing.T) {
	w := newWorld(t)
	w.propose(exec("a", "", "echo", "token", secret, "end"))
	if err := w.approve(w.review("a")); err == nil {
		t.Fatal("approved without a waiver")
	}
	review := w.review("a")
	if len(review[0].Findings) != 1 ||
		review[0].Findings[0].Name != "CREDENTIAL:/payload/params/argv/2" || review[0].Findings[0].Masked != "ghp_…, 40 characters" {
		t.Fatalf("findings: %+v", review[0].Findings)
	}
	w.check(w.p.Waive(t.Context(), &review[0], []string{"CREDENTIAL"}))
	if !review[0].Overridable {
		t.Fatalf("%+v", review[0].Report)
	}
	if err := w.p.Approve(t.Context(), review, Decision{Reason: " "}, ignoreLine); err == nil {
		t.Fatal("approved without a reason")
	}
	w.check(w.p.Approve(t.Context(), review, Decision{Reason: "a test key, " + secret + " of nobody"}, ignoreLine))
	want := []job.EventName{job.ProposalReceived, job.GatesReported, job.JobBlocked, job.FindingWaived, job.GatesReported,
		job.OperatorApproved, job.JobApproved}
	if got := w.names("a"); !slices.Equal(got, want) {
		t.Errorf("events %v", got)
	}
	m := w.waivers("a")[0]
	if m.Reason != "a test key, [redacted waived] of nobody" || m.Pointer != "/payload/params/argv/2" ||
		m.Format != "github-token" || len(m.Finding) != 64 || len(m.Original) != 64 {
		t.Errorf("%+v", m)
	}
	w.tick()
	w.is("a", job.StatusCompleted, "")
	row := w.row("a")
	res, _, err := w.p.loadResult(row)
	w.check(err)
	if want := "token [redacted waived] end\n"; res.Stdout.Text != want || w.read(res.Stdout.Path) != want {
		t.Errorf("output %q, file %q", res.Stdout.Text, w.read(res.Stdout.Path))
	}
	if res.Stdout.Truncated || res.Stdout.Bytes != int64(len(res.Stdout.Text)) {
		t.Errorf("%+v", res.Stdout)
	}
	if found := w.leaks(secret); len(found) > 0 {
		t.Errorf("found in %q", found)
	}
	if private := w.ws.Rel(w.ws.PrivateDocument("a")); !slices.Equal(w.holding(secret), []string{private}) {
		t.Errorf("the search does not find it in %s", private)
	}
	w.verify()
}

// What is waived are these bytes at this place: the same elsewhere, and others there, are findings still.
func TestWaiverIsForOnePlace(t *testing.T) {
	w := newWorld(t)
	w.propose(exec("a", "", "echo", secret, "x", secret, "y "+secret+" "+otherSecret))
	names := []string{}
	for _, f := range w.review("a")[0].Findings {
		names = append(names, f.Name)
	}
	const at = "CREDENTIAL:/payload/params/argv/"
	if want := []string{at + "1", at + "3", at + "4#1", at + "4#2"}; !slices.Equal(names, want) {
		t.Fatalf("findings %q, want %q", names, want)
	}
	var refused *WaiverError
	for name, choices := range map[string]int{"CREDENTIAL": 4, at + "4": 4, at + "2": 4, "MARKER": 0,
		"CONTROL_CHARACTER:/payload/params/argv/1": 0, "": 0} {
		if err := w.waive("a", name); !asError(err, &refused) || len(refused.Choices) != choices {
			t.Errorf("%q: %v, %+v", name, err, refused)
		}
	}
	var unfit *StateError
	for i := range names {
		if err := w.waive("a", slices.Delete(slices.Clone(names), i, i+1)...); !asError(err, &unfit) {
			t.Errorf("without %s: %v", names[i], err)
		}
	}
	if len(w.waivers("a")) > 0 {
		t.Errorf("recorded: %+v", w.waivers("a"))
	}
	w.check(w.waive("a", names...))
	if n := len(w.waivers("a")); n != 4 {
		t.Errorf("%d waivers", n)
	}
	w.tick()
	w.is("a", job.StatusCompleted, "")

	// Another job with the same bytes at the same place has no waiver, nor has one with others.
	for id, value := range map[string]string{"b": secret, "c": otherSecret} {
		if l := w.propose(exec(id, "", "echo", value, "x", value, "y "+secret+" "+otherSecret)); l.Zone != "blocked" {
			t.Errorf("%+v", l)
		}
		if err := w.approve(w.review(id)); !asError(err, &unfit) {
			t.Errorf("%s: %v", id, err)
		}
	}
	for _, value := range []string{secret, otherSecret} {
		if found := w.leaks(value); len(found) > 0 {
			t.Errorf("found in %q", found)
		}
	}
	w.verify()
}

// What the ledger and the names of files repeat cannot be waived, and no other reason goes away with a waiver.
func TestWhatIsNotWaived(t *testing.T) {
	w := newWorld(t)
	w.propose(exec("key", `"idempotency_key": "`+secret+`",`, "true"))
	w.propose(`{"id": "name", "payload": {"kind": "exec", "params": {"argv": ["true"], "env": {"` + secret + `": "x"}}}}`)
	w.propose(exec("rule", "", "no-such-program", secret))
	w.propose(`{"id": "manual", "payload": {"kind": "file_write", "params": {"path": "f", "mode": "create", "content": "` + secret + `"}}}`)
	w.drop("operator", "raw.json", "{ "+secret)
	w.gate()
	w.forward(3e9)
	w.gate()
	var refused *WaiverError
	for _, id := range []string{"key", "name"} {
		if err := w.waive(id, "CREDENTIAL"); !asError(err, &refused) || len(refused.Choices) > 0 {
			t.Errorf("%s: %v", id, err)
		}
	}
	var unfit *StateError
	if err := w.waive("rule", "CREDENTIAL"); !asError(err, &unfit) || !strings.Contains(err.Error(), "NO_EXEC_RULE") {
		t.Errorf("rule: %v", err)
	}
	for _, row := range w.quarantined() {
		if len(row.ID) == 36 {
			if err := w.waive(row.ID, "CREDENTIAL"); !asError(err, &refused) {
				t.Errorf("raw: %v", err)
			}
		}
	}
	w.check(w.waive("manual", "CREDENTIAL")) // which is the operator's word on the manual kind, too
	w.tick()
	w.is("manual", job.StatusCompleted, "")
	if got := w.read("work/f"); got != secret {
		t.Errorf("written: %q", got)
	}
	for _, id := range []string{"key", "name", "rule"} {
		if n := len(w.waivers(id)); n > 0 || w.row(id).Status != job.StatusQuarantined {
			t.Errorf("%s has %d waivers and is %s", id, n, w.row(id).Status)
		}
	}
	if found := w.leaks(secret); len(found) > 0 {
		t.Errorf("found in %q", found)
	}
}

// Nothing runs whose original is not there any more, or is another one than the operator has seen.
func TestWaiverWithoutItsOriginal(t *testing.T) {
	changes := map[string]func(w *world, path string) error{
		"gone":  func(_ *world, path string) error { return os.Remove(path) },
		"salt":  func(w *world, _ string) error { return os.Remove(w.ws.PrivateSalt("a")) },
		"other": func(_ *world, path string) error { return replaceIn(path, secret, otherSecret) },
		"more":  func(_ *world, path string) error { return replaceIn(path, secret, secret+" "+otherSecret) },
		"path":  func(_ *world, path string) error { return replaceIn(path, `"path":"f"`, `"path":"g"`) },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.propose(`{"id": "a", "payload": {"kind": "file_write", "params": {"path": "f", "mode": "create", "content": "` + secret + `"}}}`)
			w.check(w.waive("a", "CREDENTIAL"))
			w.check(change(w, w.ws.PrivateDocument("a")))
			w.tick()
			row := w.row("a")
			if row.Status != job.StatusFailed || row.ErrorCode != "ORIGINAL_GONE" || !strings.Contains(row.Error, "the original of its proposal") {
				t.Errorf("%s, %s: %q", row.Status, row.ErrorCode, row.Error)
			}
			for _, f := range []string{"f", "g"} {
				if _, err := os.Stat(filepath.Join(w.ws.Root(), "work", f)); err == nil {
					t.Errorf("%s was written", f)
				}
			}
			// Under other rules it is gated again, and refused before it starts.
			w.check(w.p.Retry(t.Context(), Selection{IDs: []string{"a"}}, ignoreJob))
			w.allow("touch")
			w.tick()
			if row := w.row("a"); row.Status != job.StatusQuarantined || row.ErrorCode != "CREDENTIAL" {
				t.Errorf("gated again: %s, %s", row.Status, row.ErrorCode)
			}
			if err := w.waive("a", "CREDENTIAL"); err == nil {
				t.Error("waived again")
			}
		})
	}
	// The control: without a change it runs.
	w := newWorld(t)
	w.propose(`{"id": "a", "payload": {"kind": "file_write", "params": {"path": "f", "mode": "create", "content": "` + secret + `"}}}`)
	w.check(w.waive("a", "CREDENTIAL"))
	w.tick()
	w.is("a", job.StatusCompleted, "")
}

func replaceIn(path, old, text string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(strings.ReplaceAll(string(b), old, text)), 0o600)
}

// allow changes the rules: a program is allowed with any argument.
func (w *world) allow(program string) {
	w.t.Helper()
	w.rule(map[string]any{"program": program, "args": []string{"..."}, "decision": "allow"})
}

// rule adds an exec rule.
func (w *world) rule(rule map[string]any) {
	w.t.Helper()
	text, err := os.ReadFile(w.ws.Config())
	w.check(err)
	var config map[string]any
	w.check(json.Unmarshal(text, &config))
	section := config["gates"].(map[string]any)
	section["exec"] = append(section["exec"].([]any), rule)
	text, err = json.Marshal(config)
	w.check(err)
	w.write(w.ws.Config(), string(text))
	w.check(w.p.reloadRules(w.t.Context()))
}

// A waiver belongs to its job: it holds when that is gated again, retried, and after the index was made anew. A revision has none.
func TestWaiverStaysWithItsJob(t *testing.T) {
	w := newWorld(t)
	write := `{"id": "a", "payload": {"kind": "file_write", "params": {"path": "f", "mode": "create", "content": "` + secret + `"}}}`
	w.propose(write)
	w.write(filepath.Join(w.ws.Root(), "work", "f"), "in the way")
	w.check(w.waive("a", "CREDENTIAL"))
	w.allow("touch") // gated again when it is dispatched
	w.tick()
	if row := w.row("a"); row.Status != job.StatusFailed || row.ErrorCode == "ORIGINAL_GONE" {
		t.Fatalf("%s: %s", row.Status, row.Error)
	}
	if n := len(slices.DeleteFunc(w.names("a"), func(n job.EventName) bool { return n != job.GatesReported })); n != 3 {
		t.Errorf("gated %d times", n)
	}
	_, err := w.p.RebuildIndex(t.Context(), nil)
	w.check(err)
	w.check(os.Remove(filepath.Join(w.ws.Root(), "work", "f")))
	w.check(w.p.Retry(t.Context(), Selection{IDs: []string{"a"}}, ignoreJob))
	w.tick()
	w.is("a", job.StatusCompleted, "")
	if got := w.read("work/f"); got != secret {
		t.Errorf("written: %q", got)
	}
	var changes []Change
	w.check(w.p.PolicyReplay(t.Context(), "", w.now().AddDate(-1, 0, 0), func(c Change) error { changes = append(changes, c); return nil }))
	if len(changes) > 0 {
		t.Errorf("another verdict when it is replayed: %+v", changes)
	}

	w.propose(strings.Replace(write, `"a"`, `"b"`, 1))
	if l := w.revise("b", strings.Replace(write, `"a"`, `"b-2"`, 1)); l.Zone != "blocked" || !slices.Contains(codes(l), "CREDENTIAL") {
		t.Errorf("revision: %+v", l)
	}
	w.propose(exec("c", "", "echo", secret))
	w.check(w.waive("c", "CREDENTIAL"))
	w.check(w.p.Cancel(t.Context(), Selection{IDs: []string{"c"}}, "", ignoreJob))
	if l := w.revise("c", exec("c-2", "", "echo", secret)); l.Zone != "blocked" {
		t.Errorf("revision of a waived job: %+v", l)
	}
	if found := w.leaks(secret); len(found) > 0 {
		t.Errorf("found in %q", found)
	}
	w.verify()
}

// Two proposals of one id come in together: the original that is kept is that of the job, and the other job has its own.
func TestOriginalsOfOneID(t *testing.T) {
	w := newWorld(t)
	w.drop("operator", "p.jsonl", exec("a", "", "echo", "first", secret)+"\n"+exec("a", "", "echo", "second", otherSecret)+"\n")
	w.gate()
	w.forward(3e9)
	w.gate()
	blocked := w.quarantined()
	if len(blocked) != 2 {
		t.Fatalf("%+v", blocked)
	}
	for _, row := range blocked {
		want, other := otherSecret, secret
		if row.ID == "a" {
			want, other = secret, otherSecret
		}
		text, err := os.ReadFile(w.ws.PrivateDocument(row.ID))
		if err != nil || !strings.Contains(string(text), want) || strings.Contains(string(text), other) {
			t.Errorf("%s: %s, %v", row.ID, text, err)
		}
	}
	w.check(w.waive("a", "CREDENTIAL"))
}

// What a job writes in other clothes does not have it either, nor do the outputs that it declares.
func TestWaiverInOtherClothes(t *testing.T) {
	w := newWorld(t)
	w.allow("base64")
	w.allow("od")
	w.allow("tee")
	for id, argv := range map[string]string{"base64": `"base64", "-w", "7"`, "od": `"od", "-An", "-v", "-tx1"`, "tee": `"tee", "report.txt"`} {
		more, folder := "", ""
		if id == "tee" {
			more, folder = `"outputs": ["report.txt"],`, `, "cwd": "."`
		}
		w.propose(`{"id": "` + id + `", ` + more + ` "payload": {"kind": "exec", "params": {"argv": [` + argv +
			`], "stdin": "x` + " " + secret + `"` + folder + `}}}`)
		w.check(w.waive(id, "CREDENTIAL"))
	}
	w.tick()
	for _, id := range []string{"base64", "od", "tee"} {
		res, ok, err := w.p.loadResult(w.row(id))
		w.check(err)
		if !ok || !strings.Contains(res.Stdout.Text, "[redacted waived]") {
			t.Errorf("%s: %+v", id, res)
		}
	}
	if found := w.leaks(secret); len(found) > 0 {
		t.Errorf("found in %q", found)
	}
}

// A short password is kept out of the output too.
func TestWaiverOfAShortPassword(t *testing.T) {
	w := newWorld(t)
	w.write(filepath.Join(w.ws.Root(), "work", "notes"), "x7Rq2w eDdScTJ3\n")
	w.allow("grep")
	w.propose(`{"id": "a", "payload": {"kind": "exec", "params": {"cwd": ".", "argv": ["grep", "-e", "mysql", "-e", "-px7Rq2w", "-e", "x", "-h", "notes"]}}}`)
	w.check(w.waive("a", "CREDENTIAL"))
	w.tick()
	w.is("a", job.StatusCompleted, "")
	res, _, err := w.p.loadResult(w.row("a"))
	w.check(err)
	if strings.Contains(res.Stdout.Text, "x7Rq2w") || strings.Contains(res.Stdout.Text, "eDdScTJ3") ||
		strings.Count(res.Stdout.Text, "[redacted waived]") != 2 || w.read(res.Stdout.Path) != res.Stdout.Text {
		t.Errorf("output %q", res.Stdout.Text)
	}
}

// What is derived from the params goes by what was proposed, not by what is left of it: here the rule, and that a rerun is safe. A job that
// the rules blocked after its waiver goes on when they allow it again, without another word.
func TestWaiverAndTheRules(t *testing.T) {
	w := newWorld(t)
	safe := map[string]any{"program": "printf", "args": []string{"[A-Za-z0-9_]+"}, "decision": "allow", "rerun": "safe"}
	w.rule(safe)
	w.propose(exec("a", "", "printf", secret))
	w.check(w.waive("a", "CREDENTIAL"))
	if row := w.row("a"); !row.Rerun || row.MaxRetries != 3 {
		t.Errorf("rerun %t, %d retries", row.Rerun, row.MaxRetries)
	}
	before, err := os.ReadFile(w.ws.Config())
	w.check(err)
	w.rule(map[string]any{"program": "printf", "args": []string{"..."}, "decision": "forbid"})
	w.tick()
	if row := w.row("a"); row.Status != job.StatusQuarantined || row.ErrorCode != "EXEC_FORBIDDEN" {
		t.Fatalf("%s, %s", row.Status, row.ErrorCode)
	}
	w.write(w.ws.Config(), string(before))
	w.check(w.p.reloadRules(t.Context()))
	_, err = w.p.Gate(t.Context(), GateOptions{IDs: []string{"a"}}, ignoreLine)
	w.check(err)
	if row := w.row("a"); row.Status != job.StatusPending || !row.Rerun {
		t.Errorf("%s, rerun %t", row.Status, row.Rerun)
	}
	w.tick()
	w.is("a", job.StatusCompleted, "")
}

// An original is that of its job, and waivers are those of one document and of what is found in it.
func TestOriginal(t *testing.T) {
	w := newWorld(t)
	w.propose(exec("a", "", "echo", secret))
	w.propose(exec("b", "", "echo", otherSecret))
	other, err := os.ReadFile(w.ws.PrivateDocument("b"))
	w.check(err)
	path := w.ws.PrivateDocument("a")
	own, err := os.ReadFile(path)
	w.check(err)
	for _, id := range []string{"b", "a"} { // of another job, and one that only looks like it
		w.check(os.WriteFile(path, []byte(strings.ReplaceAll(string(other), `"b"`, `"`+id+`"`)), 0o600))
		if r := w.review("a")[0]; r.Gone == nil || len(r.Findings) > 0 {
			t.Errorf("%s: %v, %+v", id, r.Gone, r.Findings)
		}
	}
	w.check(os.WriteFile(path, []byte(strings.Replace(string(own), `"echo"`, `"cat"`, 1)), 0o600))
	if r := w.review("a")[0]; r.Gone == nil {
		t.Error("another command line passes for the original")
	}
	w.check(os.WriteFile(path, own, 0o600))

	c := &candidate{private: other}
	c.intake.JobID = "a"
	w.check(w.p.keepPrivate(c, false))
	if now, err := os.ReadFile(path); err != nil || string(now) != string(own) {
		t.Errorf("replaced by one that has not got the id: %s, %v", now, err)
	}

	w.check(w.waive("a", "CREDENTIAL"))
	row := w.row("a")
	stored, err := w.p.stored(row)
	w.check(err)
	salt, err := w.p.salt("a")
	w.check(err)
	w.check(w.p.view(t.Context(), func(r *index.Reader) error {
		list, err := waiversOf(r, row)
		if err != nil || len(list) != 1 {
			t.Errorf("%+v, %v", list, err)
		}
		if _, _, err := w.p.unseal(stored.intake, list, salt); err != nil {
			t.Error(err)
		}
		list = append(list, list[0])
		list[1].Finding = list[0].Original
		if _, _, err := w.p.unseal(stored.intake, list, salt); err == nil {
			t.Error("a finding that is not there was waived")
		}
		row.Intake.SHA256 = list[0].Original
		if list, err = waiversOf(r, row); err != nil || len(list) > 0 {
			t.Errorf("of another document: %+v, %v", list, err)
		}
		return nil
	}))
}

// Whole lines of a script fit into what a pattern takes for one key: whoever waives that has read it, on a terminal.
func TestWaiverOfWhatNobodyRead(t *testing.T) {
	w := newWorld(t)
	const lines = `-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAx7Rq2wV9kLm3nP5tY8zB1cD4fG6hJ0sA\ntouch pwned\n-----END RSA PRIVATE KEY-----`
	w.propose(exec("one", "", "echo", secret))
	w.propose(strings.Replace(exec("lines", "", "echo", "X"), `X`, lines, 1))
	w.check(w.waive("one", "CREDENTIAL"))
	var refused *WaiverError
	if err := w.waive("lines", "CREDENTIAL"); !asError(err, &refused) || !strings.Contains(err.Error(), "a person has to read it") {
		t.Errorf("approved by a script: %v", err)
	}
	if len(w.waivers("lines")) > 0 {
		t.Error("recorded")
	}
	review := w.review("lines")
	w.check(w.p.Waive(t.Context(), &review[0], []string{"CREDENTIAL"}))
	if got := review[0].Waived(); len(got) != 1 || got[0] != strings.ReplaceAll(lines, `\n`, "\n") {
		t.Errorf("shown: %q", got)
	}
	w.check(w.p.Approve(t.Context(), review, Decision{Reason: "read", TTY: true}, ignoreLine))
	for value, want := range map[string]bool{secret: false, "a b": true, "a\nb": true, "a$(b)": true, "a'b": true, "a\x1bb": true, "a\u200bb": true,
		"a`b": true, "a|b": true, "x7Rq/2+w=": false, `a\nb`: true} {
		r := Review{Waives: []Waivable{{}}, waiving: &waiving{found: []string{value}}}
		if got := r.Unread() != nil; got != want {
			t.Errorf("%q wants a reader: %t", value, got)
		}
	}
}

// An approval that comes to nothing leaves no salt, and of two at once one holds and its job runs: the salt is stored by whoever has the lock.
func TestWaiversAtOnce(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"a", "b", "c", "gone"} {
		w.propose(exec(id, "", "echo", secret))
	}
	seen := func(id string) []Review {
		review := w.review(id)
		w.check(w.p.Waive(t.Context(), &review[0], []string{"CREDENTIAL"}))
		return review
	}
	late := seen("gone")
	w.check(w.p.Cancel(t.Context(), Selection{IDs: []string{"gone"}}, "", ignoreJob))
	if err := w.approve(late); err == nil {
		t.Error("a cancelled job was approved")
	}
	if exists(w.ws.PrivateSalt("gone")) {
		t.Error("the salt of an approval that was refused was stored")
	}
	for _, id := range []string{"a", "b", "c"} {
		both := [][]Review{seen(id), seen(id)}
		errs := make(chan error)
		for _, review := range both {
			go func() { errs <- w.approve(review) }()
		}
		if first, second := <-errs, <-errs; (first == nil) == (second == nil) {
			t.Errorf("%s: %v, %v", id, first, second)
		}
	}
	w.tick()
	for _, id := range []string{"a", "b", "c"} {
		w.is(id, job.StatusCompleted, "")
	}

	// The salt of an approval that a crash kept out of the ledger holds for the next review, and not for one before it.
	w.propose(exec("d", "", "echo", secret))
	early, other := seen("d"), seen("d")
	w.check(w.p.keepSalt("d", other[0].waiving))
	var unfit *StateError
	if err := w.approve(early); !asError(err, &unfit) || !strings.Contains(err.Error(), "another operator has waived a finding of this job meanwhile") {
		t.Errorf("with another salt: %v", err)
	}
	w.check(w.approve(seen("d")))
}

// What stands in clear elsewhere in the proposal is not waived: documents, results and lists of jobs would have it.
func TestWaiverOfWhatStandsElsewhere(t *testing.T) {
	w := newWorld(t)
	const password, write = "x7Rq2wV9kL", `"payload": {"kind": "file_write", "params": {"mode": "create", "content": "password = x7Rq2wV9kL", "path": `
	for id, c := range map[string]struct{ proposal, at string }{
		"path":    {write + `"x7Rq2wV9kL.txt"}}`, "/payload/params/path"},
		"text":    {strings.Replace(write, `kL",`, `kL\n and x7Rq2wV9kL",`, 1) + `"f"}}`, "/payload/params/content"},
		"encoded": {write + `"eDdScTJ3VjlrTA.txt"}}`, "/payload/params/path"},
		"outputs": {`"outputs": ["a", "x7Rq2wV9kL"], ` + write + `"f"}}`, "/outputs/1"},
		"name":    {write + `"f", "x7Rq2wV9kL": 1}}`, "the name of a member of /payload/params"},
	} {
		w.propose(`{"id": "` + id + `", ` + c.proposal + `}`)
		var refused *WaiverError
		err := w.waive(id, "CREDENTIAL")
		if !asError(err, &refused) || !strings.Contains(err.Error(), " also stands at "+c.at+",") || strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v", id, err)
		}
		if len(w.waivers(id)) > 0 {
			t.Errorf("%s: recorded", id)
		}
	}
	// The control: each of them is a finding, and both are waived.
	w.propose(`{"id": "both", ` + strings.Replace(write, `kL",`, `kL\npassword = x7Rq2wV9kL",`, 1) + `"f"}}}`)
	w.check(w.waive("both", "CREDENTIAL"))
}

// Another credential under the id of a job is another proposal, though the two read alike without it.
func TestOtherCredentialUnderOneID(t *testing.T) {
	w := newWorld(t)
	w.propose(exec("a", "", "echo", secret))
	w.check(w.waive("a", "CREDENTIAL"))
	w.tick()
	if l := w.propose(exec("a", "", "echo", secret)); l.JobID != "a" {
		t.Errorf("the same: %+v", l)
	}
	if l := w.propose(exec("a", "", "echo", otherSecret)); l.JobID == "a" || !slices.Contains(codes(l), "ID_REUSED") {
		t.Errorf("another one: %+v", l)
	}
	w.verify()
}
