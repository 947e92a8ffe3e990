package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sheratan/sheratan/gates/secrets/secretstest"
	"github.com/sheratan/sheratan/runtime/workspace"
)

// harmlessMarker stands in the same places as the credentials, and is found wherever they would be: the control of the search.
const harmlessMarker = "harmless-marker-in-the-same-place"

// secretPlaces are the places of a proposal that a credential can be written into: a function from a text to a proposal.
var secretPlaces = []struct {
	name string
	make func(id, text string) obj
}{
	{"content", func(id, text string) obj {
		return obj{"id": id, "payload": obj{"kind": "file_write", "params": obj{"path": id, "content": text, "mode": "create"}}}
	}},
	{"argument", func(id, text string) obj {
		return obj{"id": id, "payload": obj{"kind": "exec", "params": obj{"argv": []string{"echo", text}}}}
	}},
	{"stdin", func(id, text string) obj {
		return obj{"id": id, "payload": obj{"kind": "exec", "params": obj{"argv": []string{"cat"}, "stdin": text}}}
	}},
	{"environment", func(id, text string) obj {
		return obj{"id": id, "payload": obj{"kind": "exec", "params": obj{"argv": []string{"true"}, "env": obj{"SETTING": text}}}}
	}},
	{"path", func(id, text string) obj {
		return obj{"id": id, "payload": obj{"kind": "file_read", "params": obj{"path": text}}}
	}},
	{"unknown member", func(id, text string) obj {
		return obj{"id": id, "comment": text, "payload": obj{"kind": "noop", "params": obj{}}}
	}},
	{"name of a member", func(id, text string) obj {
		return obj{"id": id, "payload": obj{"kind": "noop", "params": obj{text: 1}}}
	}},
	{"claimed source", func(id, text string) obj {
		return obj{"id": id, "source": text, "payload": obj{"kind": "noop", "params": obj{}}}
	}},
	{"prompt", func(id, text string) obj {
		return obj{"id": id, "payload": obj{"kind": "llm", "params": obj{"model": "judge", "prompt": text}}}
	}},
}

// processWatch looks at the command lines and environments of processes while it runs.
type processWatch struct {
	mu   sync.Mutex
	seen map[string]bool
	stop chan struct{}
	done chan struct{}
}

func watchProcesses() *processWatch {
	w := &processWatch{seen: map[string]bool{}, stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		for {
			names, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is well formed
			for _, name := range names {
				for _, file := range []string{name, filepath.Join(filepath.Dir(name), "environ")} {
					if b, err := os.ReadFile(file); err == nil && len(b) > 0 {
						w.mu.Lock()
						w.seen[string(b)] = true
						w.mu.Unlock()
					}
				}
			}
			select {
			case <-w.stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	return w
}

// text ends the watch and returns all that was seen.
func (w *processWatch) text() []byte {
	close(w.stop)
	<-w.done
	var b bytes.Buffer
	for s := range w.seen {
		b.WriteString(s + "\n")
	}
	return b.Bytes()
}

// traces are all that is kept and told of what happened, by name: the ledger, documents, index, git objects, results, replies, what was
// printed and what auditors were asked. What is private, the output files of jobs and the folder they work in are not among them.
func (s *site) traces() map[string][]byte {
	s.t.Helper()
	found := map[string][]byte{}
	err := filepath.WalkDir(s.path("runtime"), func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(s.ws, path) // path is below it
		switch {
		case err != nil:
			return err
		case d.IsDir() && (rel == "runtime/.sheratan/private" || rel == "runtime/.git/objects"):
			return fs.SkipDir
		case !d.Type().IsRegular() || strings.HasSuffix(rel, ".stdout") || strings.HasSuffix(rel, ".stderr"):
			return nil
		}
		found[rel], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	git := exec.Command("git", "-C", s.path("runtime"), "-c", "safe.directory=*", "cat-file", "--batch-all-objects", "--batch")
	if found["git objects"], err = git.Output(); err != nil {
		s.t.Fatalf("git: %v", err)
	}
	return found
}

// TestSecretsStayOut puts each credential into a place of a proposal, and follows all of them through gates, auditors and models.
func TestSecretsStayOut(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git, which reads the objects here, is not installed")
	}
	s := newSite(t)
	s.write("judge.sh", []byte("#!/bin/sh\ntee -a "+s.path("asked")+" >/dev/null\nsleep 0.1\necho no answer of any use\n"))
	s.setConfig(`"exec": [`, `"exec": [{"program": "cat", "args": [], "decision": "allow"},`)
	var config obj
	if err := json.Unmarshal(readFile(t, s.path("config/sheratan.json")), &config); err != nil {
		t.Fatal(err)
	}
	config["relay"] = obj{"record": s.path("recorded"), "models": obj{"judge": obj{"backend": "command", "command": []string{"/bin/sh", s.path("judge.sh")}}}}
	config["audit"] = obj{"auditors": []string{"judge"}}
	gates := config["gates"].(obj)
	gates["models"] = []string{"judge"}
	gates["markers"] = []string{harmlessMarker} // so that an auditor is asked
	kinds := gates["kinds"].(obj)
	kinds["allow"] = append(kinds["allow"].([]any), "llm")
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	s.write("config/sheratan.json", text)

	samples := secretstest.Credentials(1)
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	for i, sample := range samples {
		proposal := secretPlaces[i%len(secretPlaces)].make(fmt.Sprintf("s%d", i), sample.Text+" "+harmlessMarker)
		if sample.Family == "commands" && !strings.Contains(sample.Text, "|") {
			// As it would be proposed: a word an argument, without the quotes.
			argv := append([]string{"echo"}, strings.Fields(strings.NewReplacer("'", "", `"`, "").Replace(sample.Text))...)
			proposal["payload"] = obj{"kind": "exec", "params": obj{"argv": argv}}
		}
		if err := enc.Encode(proposal); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&lines, "not JSON %q\n", sample.Text)
	}
	for i, place := range secretPlaces {
		if err := enc.Encode(place.make(fmt.Sprintf("m%d", i), harmlessMarker)); err != nil {
			t.Fatal(err)
		}
	}
	s.write("runtime/inbox/crawler/all.jsonl", lines.Bytes())
	time.Sleep(workspace.SettleTime + 100*time.Millisecond) // nobody writes it any more
	// A job that prints them, and one that shows a model what it printed.
	s.write("work/all.txt", []byte(joinedTexts(samples)))
	s.stdin([]byte(`{"id": "printer", "payload": {"kind": "file_read", "params": {"path": "all.txt"}}}`), 0, "submit", "-")
	s.stdin([]byte(`{"id": "asker", "depends_on": ["printer"], "payload": {"kind": "llm", "params": {"model": "judge", "prompt": "What is in it?"}}}`), 0, "submit", "-")

	watch := watchProcesses()
	printed := bytes.Buffer{}
	for _, args := range [][]string{{"tick", "--json"}, {"gate", "--blocked", "--json"}, {"audit", "--json"}, {"jobs", "--json"}, {"status", "--json"},
		{"why", "asker", "--json"}, {"why", "printer"}, {"ledger", "log", "--json"}, {"jobs", "--status", "quarantined"}} {
		out, errs, _ := s.run(nil, args...)
		printed.Write(out)
		printed.WriteString(errs)
	}
	if left, _ := filepath.Glob(s.path("runtime/inbox/crawler/*")); len(left) > 0 {
		t.Fatalf("the inbox still has %q: %.2000s", left, printed.String())
	}
	traces := s.traces()
	traces["printed"], traces["processes"] = printed.Bytes(), watch.text()
	traces["asked"], traces["recorded"] = readFile(t, s.path("asked")), readFile(t, s.path("recorded"))

	all := bytes.Buffer{}
	for name, b := range traces {
		if name != "processes" {
			all.Write(b)
		}
		for _, sample := range samples {
			if piece := middle(sample.Secret); bytes.Contains(b, []byte(piece)) {
				at := bytes.Index(b, []byte(piece))
				t.Errorf("%s, %s: found in %s: %.200q", sample.Family, sample.Name, name, b[max(0, at-60):min(len(b), at+60)])
			}
		}
	}
	// The control: the marker came as far as a credential would have, and so did what the search looks through.
	for _, name := range []string{"asked", "recorded", "printed", "git objects"} {
		if !bytes.Contains(traces[name], []byte(harmlessMarker)) {
			t.Errorf("the marker is not in %s: nothing is shown by this", name)
		}
	}
	if !bytes.Contains(traces["processes"], []byte("judge.sh")) {
		t.Error("no process of ours was seen")
	}
	if n := bytes.Count(all.Bytes(), []byte("[redacted ")); n < len(samples) {
		t.Errorf("only %d places are redacted", n)
	}
	s.must("ledger", "verify")
}

// middle is a piece of a secret that is only in it.
func middle(secret string) string {
	if strings.HasPrefix(secret, "-----BEGIN") {
		secret = secret[len(secret)/2:]
	}
	n := len(secret)
	return secret[n/4 : n/4+min(n/2, 24)]
}

// joinedTexts is a file of all samples.
func joinedTexts(samples []secretstest.Sample) string {
	var b strings.Builder
	for _, s := range samples {
		b.WriteString(s.Text + "\n\n")
	}
	return b.String()
}

// TestNamedSecretsStayOut lets a job print a key of the config in many clothes. No pattern knows it: it is a secret because the config says
// so. What agents, proposers and models are told has none of it; the control is a text of the same form that nobody named.
func TestNamedSecretsStayOut(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	secret, other := "correct-horse-of-"+"the-operator", "another-horse-of-"+"somebody-else"
	s.write("key", []byte(secret+"\n"))
	if err := os.Chmod(s.path("key"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.write("judge.sh", []byte("#!/bin/sh\ntee -a "+s.path("asked")+" >/dev/null\necho noted\n"))
	var config obj
	if err := json.Unmarshal(readFile(t, s.path("config/sheratan.json")), &config); err != nil {
		t.Fatal(err)
	}
	config["relay"] = obj{"models": obj{
		"judge":  obj{"backend": "command", "command": []string{"/bin/sh", s.path("judge.sh")}},
		"remote": obj{"backend": "openai", "url": "http://127.0.0.1:9/v1", "model": "m", "key_file": s.path("key")},
	}}
	gates := config["gates"].(obj)
	gates["models"] = []string{"judge"}
	kinds := gates["kinds"].(obj)
	kinds["allow"] = append(kinds["allow"].([]any), "llm")
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	s.write("config/sheratan.json", text)

	dressed := func(v string) map[string]string {
		back := []byte(v)
		slices.Reverse(back)
		return map[string]string{
			"plain": v, "reversed": string(back), "hex": hex.EncodeToString([]byte(v)), "base64": base64.StdEncoding.EncodeToString([]byte("x" + v)),
			"twice": base64.URLEncoding.EncodeToString([]byte(hex.EncodeToString([]byte(v)))), "url": strings.ReplaceAll(v, "-", "%2D"),
			"folded": v[:9] + "\n" + v[9:],
		}
	}
	var lines strings.Builder
	for name, v := range dressed(secret) {
		fmt.Fprintf(&lines, "%s: %s.\n", name, v)
	}
	fmt.Fprintf(&lines, "%s\n%s\n", other, hex.EncodeToString([]byte(other)))
	s.write("work/all.txt", []byte(lines.String()))
	s.write("work/short.txt", []byte("it is "+secret+"\n"+other+"\n"))

	a := newAgent(t, s)
	told := map[string]string{}
	for _, file := range []string{"all", "short"} {
		a.must("propose", obj{"id": file, "payload": obj{"kind": "file_read", "params": obj{"path": file + ".txt"}}})
		waited := a.must("wait", obj{"job_id": file})
		if waited["status"] != "completed" {
			t.Fatalf("wait: %v", waited)
		}
		told["wait "+file] = fmt.Sprint(waited)
		told["result "+file] = fmt.Sprint(a.must("result", obj{"job_id": file}))
		told["part of "+file] = a.must("result", obj{"job_id": file, "part": "stdout"})["text"].(string)
		told["why "+file] = fmt.Sprint(a.must("why", obj{"job_id": file}))
	}
	a.must("propose", obj{"id": "asker", "depends_on": []string{"all"}, "payload": obj{"kind": "llm", "params": obj{"model": "judge", "prompt": "What is in it? " + secret}}})
	if got := a.must("wait", obj{"job_id": "asker"}); got["status"] != "completed" {
		t.Fatalf("wait: %v", got)
	}
	a.close()
	told["prompt"] = string(readFile(t, s.path("asked")))
	for _, file := range []string{"all", "short", "asker"} {
		out, _, _ := s.run(nil, "why", file, "--json")
		if file != "asker" { // whose proposal has it, as the proposer wrote it
			told["why of the operator "+file] = string(out)
		}
	}
	replies, err := filepath.Glob(s.path("runtime/outbox/replies/*/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range replies {
		if !strings.Contains(name, "asker") {
			told[filepath.Base(name)] = string(readFile(t, name))
		}
	}
	for name, text := range told {
		for how, v := range dressed(secret) {
			if strings.Contains(text, v) {
				t.Errorf("%s: the key as %s: %.300q", name, how, text)
			}
		}
	}
	for _, name := range []string{"result all", "part of all", "prompt"} {
		if !strings.Contains(told[name], other) || !strings.Contains(told[name], hex.EncodeToString([]byte(other))) {
			t.Errorf("%s: what nobody named is gone: %.300q", name, told[name])
		}
	}
	if len(replies) == 0 {
		t.Error("there are no replies: nothing is shown of them")
	}
}
