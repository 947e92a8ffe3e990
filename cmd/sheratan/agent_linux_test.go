package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// household is a workspace that root made for an operator, with agents that have users of their own.
type household struct {
	*testing.T
	bin, base, ws string
}

// uidOf returns the ids of a user, and skips the test where there is none.
func uidOf(t *testing.T, name string) (uid, gid uint32) {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Skipf("this machine has no user %s", name)
	}
	id, err1 := strconv.ParseUint(u.Uid, 10, 32)
	group, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err1 != nil || err2 != nil || id == 0 {
		t.Skipf("user %s: %s, %s", name, u.Uid, u.Gid)
	}
	return uint32(id), uint32(group)
}

// as runs a program as a user, "" for root.
func (h *household) as(name string, argv ...string) (out string, code int) {
	h.Helper()
	if argv[0] == "sheratan" {
		argv[0] = h.bin
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = h.base
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + h.base, "SHERATAN_WORKSPACE=" + h.ws, "NO_COLOR=1"}
	if name != "" {
		uid, gid := uidOf(h.T, name)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	} else {
		cmd.Env = append(cmd.Env, "SUDO_USER=daemon")
	}
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err := cmd.Run()
	if err != nil && cmd.ProcessState == nil {
		h.Fatalf("%s: %v", strings.Join(argv, " "), err)
	}
	return b.String(), cmd.ProcessState.ExitCode()
}

func (h *household) must(name string, want int, argv ...string) string {
	h.Helper()
	out, code := h.as(name, argv...)
	if code != want {
		h.Fatalf("%s: %s: exit %d, want %d:\n%s", name, strings.Join(argv, " "), code, want, out)
	}
	return out
}

// newHousehold makes the workspace as sudo would, with daemon as operator.
func newHousehold(t *testing.T, agents ...string) *household {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can make a workspace for others")
	}
	for _, name := range append(agents, "daemon") {
		uidOf(t, name)
	}
	base, err := os.MkdirTemp("", "sheratan-household-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	h := &household{T: t, base: base, ws: filepath.Join(base, "ws"), bin: filepath.Join(base, "sheratan")}
	bin, err := exec.LookPath("sheratan")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.bin, readFile(t, bin), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{base: 0o755, h.bin: 0o755} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"sheratan", "init", h.ws}
	for _, name := range agents {
		args = append(args, "--agent", name)
	}
	if out := h.must("", 0, args...); strings.Contains(out, "operator is root") {
		t.Errorf("for another operator:\n%s", out)
	}
	return h
}

// propose writes a proposal as an agent would.
func (h *household) propose(agent, id, payload string) {
	h.Helper()
	h.must(agent, 0, "sh", "-c", fmt.Sprintf("printf '%%s' '%s' >%s/runtime/inbox/%s/%s.json",
		fmt.Sprintf(`{"id": %q, "payload": %s}`, id, payload), h.ws, agent, id))
}

// allowStatus lets jobs say as whom they run.
func (h *household) allowStatus() {
	h.Helper()
	file := h.ws + "/config/sheratan.json"
	text := strings.Replace(string(readFile(h.T, file)), `"exec": [`, `"exec": [ {"program": "cat", "args": ["/proc/self/status"], "decision": "allow"},`, 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		h.Fatal(err)
	}
}

// TestSudoInit: who called sudo is the operator, everything belongs to that user, and jobs run as that user.
func TestSudoInit(t *testing.T) {
	h := newHousehold(t, "nobody")
	operator, _ := uidOf(t, "daemon")
	owned := func() {
		t.Helper()
		err := filepath.WalkDir(h.ws, func(path string, d os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			uid := info.Sys().(*syscall.Stat_t).Uid
			agent, _ := uidOf(t, "nobody")
			if strings.HasSuffix(path, "/.kinds.json") {
				return nil // in the folder of the agent, which nobody enters for this
			}
			ofAgent := strings.HasSuffix(path, "/inbox/nobody") || strings.HasSuffix(path, "/replies/nobody")
			if ofAgent && uid != agent || !ofAgent && uid != operator && !strings.Contains(path, "/games") {
				t.Errorf("%s belongs to uid %d", path, uid)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	owned()
	h.must("daemon", 0, "sheratan", "ledger", "verify")
	h.allowStatus()
	h.propose("nobody", "one", `{"kind": "exec", "params": {"argv": ["cat", "/proc/self/status"]}}`)
	h.must("daemon", 0, "sheratan", "tick")
	h.own()
	want := fmt.Sprintf("\t%d\t", operator)
	if out := h.must("daemon", 0, "sheratan", "logs", "one"); !strings.Contains(out, want) {
		t.Errorf("the job does not run as uid %d: %s", operator, out)
	}

	// One more agent later; the config stays the operator's.
	uidOf(t, "games")
	if out, code := h.as("daemon", "sheratan", "agent", "add", "games"); code == 0 || !strings.Contains(out, "only root") {
		t.Errorf("without root: exit %d, %s", code, out)
	}
	h.must("", 0, "sheratan", "agent", "add", "games")
	h.must("", 0, "sheratan", "agent", "add", "games")
	owned()
	if out := h.must("daemon", 0, "sheratan", "agent", "list"); strings.Count(out, "uid ") != 2 || !strings.Contains(out, "games  uid ") {
		t.Errorf("agents:\n%s", out)
	}
	if n := strings.Count(string(readFile(t, h.ws+"/config/sheratan.json")), `"games"`); n != 1 {
		t.Errorf("the config names the source %d times", n)
	}
	h.propose("games", "two", `{"kind": "noop", "params": {}}`)
	h.must("daemon", 0, "sheratan", "tick")
	if out := h.must("games", 0, "cat", h.ws+"/runtime/outbox/replies/games/two.json"); !strings.Contains(out, `"completed"`) {
		t.Errorf("the reply: %s", out)
	}
	for _, path := range []string{"config/sheratan.json", "runtime/inbox/nobody/x.json", "runtime/outbox/replies/nobody/one.json"} {
		if out, code := h.as("games", "cat", h.ws+"/"+path); code == 0 {
			t.Errorf("games reads %s: %s", path, out)
		}
	}
	h.must("", 0, "sheratan", "agent", "remove", "games")
	if _, code := h.as("games", "cat", h.ws+"/runtime/outbox/replies/games/two.json"); code == 0 {
		t.Error("an agent that was removed reads its replies")
	}
	if out, code := h.as("", "sheratan", "agent", "remove", "games"); code == 0 {
		t.Errorf("twice: %s", out)
	}
	h.must("daemon", 0, "sheratan", "ledger", "verify")
}

// own asks as the agent about the job one, which is its own.
func (h *household) own() {
	h.Helper()
	results := h.ws + "/runtime/outbox/replies/nobody/results/"
	if out := h.must("nobody", 0, "sheratan", "why", "one"); !strings.Contains(out, "the job completed") || !strings.Contains(out, results+"one.json") {
		h.Errorf("why: %s", out)
	}
	if out := h.must("nobody", 0, "sheratan", "logs", "one"); !strings.Contains(out, "Uid:") {
		h.Errorf("logs: %s", out)
	}
	if out := h.must("nobody", 0, "sheratan", "wait", "one", "--timeout", "20s"); !strings.Contains(out, "one  completed") {
		h.Errorf("wait: %s", out)
	}
	h.must("nobody", 124, "sheratan", "wait", "never", "--timeout", "1s")
	if out := h.must("nobody", 0, "sheratan", "kinds", "list"); !strings.Contains(out, "file_edit") || !strings.Contains(out, "manual") {
		h.Errorf("kinds: %s", out)
	}
	if out := h.must("nobody", 0, "sheratan", "kinds", "show", "exec"); !strings.Contains(out, `"argv"`) {
		h.Errorf("kinds show: %s", out)
	}
	if out := h.must("nobody", 0, "cat", results+"one.json"); !strings.Contains(out, `"exit_code":0`) {
		h.Errorf("the result: %s", out)
	}
	// Artifacts too; and what is removed is removed there as well.
	h.must("nobody", 0, "sh", "-c", "printf '%s' '"+`{"id": "kept", "outputs": ["sub/a.txt"], "payload": {"kind": "file_list", "params": {"path": "."}}}`+
		"' >"+h.ws+"/runtime/inbox/nobody/kept.json")
	h.must("daemon", 0, "sh", "-c", "mkdir "+h.ws+"/work/sub && echo artifact >"+h.ws+"/work/sub/a.txt")
	h.must("daemon", 0, "sheratan", "tick")
	if out := h.must("nobody", 0, "cat", results+"kept.artifacts/sub/a.txt"); out != "artifact\n" {
		h.Errorf("the artifact: %s", out)
	}
	h.must("daemon", 0, "sheratan", "logs", "kept", "--remove", "--reason", "test")
	if _, err := os.Stat(results + "kept.stdout"); err == nil {
		h.Error("the copy of what was removed is there")
	}
	// The folder is the agent's: a link that it leaves there leads nobody out of it.
	h.must("nobody", 0, "sh", "-c", "mv "+results+" "+results+"/../old && ln -s "+h.ws+"/work "+h.ws+"/runtime/outbox/replies/nobody/results")
	h.propose("nobody", "linked", `{"kind": "noop", "params": {}}`)
	if out := h.must("daemon", 0, "sheratan", "tick"); !strings.Contains(out, "its agent cannot read all that it left") {
		h.Errorf("with a link: %s", out)
	}
	if _, err := os.Stat(h.ws + "/work/linked.json"); err == nil {
		h.Error("a copy went where the agent's link leads")
	}
	h.must("nobody", 0, "rm", h.ws+"/runtime/outbox/replies/nobody/results")
}

// TestRootAsOperator: root has to be named to be the operator under sudo, and init and doctor say what that means.
func TestRootAsOperator(t *testing.T) {
	h := newHousehold(t)
	h.ws = h.base + "/root"
	out := h.must("", 0, "sheratan", "init", h.ws, "--operator", "root")
	if !strings.Contains(out, "warning: the operator is root: jobs run as uid 0, without any capability") {
		t.Errorf("init:\n%s", out)
	}
	if out, _ := h.as("", "sheratan", "doctor"); !strings.Contains(out, "the operator is root") {
		t.Errorf("doctor:\n%s", out)
	}
	h.allowStatus()
	h.statusOfRoot()
	config := h.ws + "/config/sheratan.json"
	text := strings.Replace(string(readFile(t, config)), `"sandbox": {`, `"sandbox": {"level": "none",`, 1)
	text = regexp.MustCompile(`"minimum": "\w+"`).ReplaceAllString(text, `"minimum": "none"`)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	h.statusOfRoot()
}

// TestHostUser: root has its jobs run as another user, at every level; their folders, caches, dependencies and artifacts are that user's
// while they run, and what root reads afterwards is only what that user could read.
func TestHostUser(t *testing.T) {
	h := newHousehold(t)
	uid, _ := uidOf(t, "nobody")
	for _, level := range []string{"full", "restricted", "none"} {
		h.ws = h.base + "/" + level
		h.must("", 0, "sheratan", "init", h.ws, "--operator", "root")
		config := h.ws + "/config/sheratan.json"
		text := strings.Replace(string(readFile(t, config)), `"exec": [`,
			`"exec": [ {"program": "sh", "args": ["..."], "decision": "allow", "write": true, "unsafe": true},`, 1)
		text = regexp.MustCompile(`"minimum": "\w+"`).ReplaceAllString(text, `"minimum": "`+level+`", "level": "`+level+`"`)
		text = strings.Replace(text, `"caches": [`, `"caches": ["cache/extra"`+map[bool]string{true: ",", false: ""}[!strings.Contains(text, `"caches": []`)], 1)
		text = strings.Replace(text, `"env": {`, `"env": {"EXTRA": "{workspace}/cache/extra",`, 1)
		text = strings.Replace(text, `"host": {`, `"host": {"user": "nobody",`, 1)
		text = strings.Replace(text, `"scripts": false`, `"scripts": true`, 1)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		propose := func(id, script, more string) {
			t.Helper()
			doc := fmt.Sprintf(`{"id": %q, %s "payload": {"kind": "exec", "params": {"argv": ["sh", "-c", %q]}}}`, id, more, script)
			if err := os.WriteFile(h.ws+"/runtime/inbox/"+id+".json", []byte(doc), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		secret := h.base + "/secret"
		if err := os.WriteFile(secret, []byte("secret of root"), 0o600); err != nil {
			t.Fatal(err)
		}
		propose("one", `id -u && echo made > in-root && echo kept > "$SHERATAN_WORK/out" && echo c > "$EXTRA/c" && grep ^Cap /proc/self/status`, `"outputs": [{"path": "out"}],`)
		propose("two", `cat "$SHERATAN_DEPS/one/artifacts/out" "$SHERATAN_DEPS/one/result.json" && test -s "$EXTRA/c" && cat in-root`, `"depends_on": ["one"],`)
		propose("three", "cat "+secret+" || cat "+config+" || ls "+h.ws+"/runtime/.sheratan", "")
		if err := os.WriteFile(h.ws+"/runtime/inbox/four.json", []byte(`{"id": "four", "payload": {"kind": "file_write", "params": {"path": "by-kind", "content": "x", "mode": "create"}}}`), 0o600); err != nil {
			t.Fatal(err)
		}
		h.as("", "sheratan", "tick")
		out, _ := h.as("", "sheratan", "approve", "one", "two", "three", "four", "--reason", "test")
		more, _ := h.as("", "sheratan", "tick")
		out += more
		for id, want := range map[string]string{"one": fmt.Sprintf("%d\nCapInh:\t0000000000000000", uid), "two": "kept\n{", "three": "failed", "four": "completed"} {
			if got, _ := h.as("", "sheratan", "why", id); id != "one" && id != "two" && !strings.Contains(got, want) {
				t.Errorf("%s, %s: no %s in %s%s", level, id, want, got, out)
			}
			if got, _ := h.as("", "sheratan", "logs", id); (id == "one" || id == "two") && !strings.Contains(got, want) || strings.Contains(got, "secret of root") {
				why, _ := h.as("", "sheratan", "why", id)
				t.Errorf("%s, %s: %s%s", level, id, got, why)
			}
		}
		for _, name := range []string{"in-root", "by-kind"} {
			var st syscall.Stat_t
			if err := syscall.Stat(h.ws+"/work/"+name, &st); err != nil || st.Uid != uid {
				t.Errorf("%s: %s is of %d: %v", level, name, st.Uid, err)
			}
		}
		if out, _ := h.as("", "sheratan", "doctor"); !strings.Contains(out, fmt.Sprintf("jobs run as nobody (uid %d)", uid)) && level != "full" {
			t.Errorf("%s: doctor: %s", level, out)
		}
		var st syscall.Stat_t
		if err := syscall.Stat(h.ws+"/runtime/jobs/0", &st); err != nil || st.Uid != 0 {
			t.Errorf("%s: the folder is left to %d: %v", level, st.Uid, err)
		}
	}
	config := h.ws + "/config/sheratan.json"
	text := string(readFile(t, config))
	for user, want := range map[string]string{"root": "is root", "no-such-user": "no-such-user"} {
		if err := os.WriteFile(config, []byte(strings.Replace(text, `"user": "nobody"`, `"user": "`+user+`"`, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, code := h.as("", "sheratan", "config", "check"); code == 0 || !strings.Contains(out, "/host/user: ") || !strings.Contains(out, want) {
			t.Errorf("%s: exit %d, %s", user, code, out)
		}
	}
}

// statusOfRoot has a job of root say what it is, which has no capability.
func (h *household) statusOfRoot() {
	out, code := h.as("", "sheratan", "submit", "--wait", "--", "cat", "/proc/self/status")
	if code != 0 {
		h.Fatalf("programs do not start here: %s", out)
	}
	for line := range strings.Lines(out) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && strings.HasPrefix(name, "Cap") && strings.Trim(value, "\t0") != "" {
			h.Errorf("a job of root has %s", line)
		}
	}
	if !strings.Contains(out, "CapEff") {
		h.Errorf("nothing was looked at:\n%s", out)
	}
}

// TestAgentWaivesNothing: an agent with a user of its own neither waives what the gates found in its proposal nor reads the original, and
// where the operator waives it the agent's copies do not have it.
func TestAgentWaivesNothing(t *testing.T) {
	const secret = "ghp_Zq8vN3xK7mW2pL9tR4yB6cD1fG5hJ0sAvXeT"
	h := newHousehold(t, "nobody")
	file := h.ws + "/config/sheratan.json"
	text := strings.Replace(string(readFile(t, file)), `"exec": [`, `"exec": [ {"program": "echo", "args": ["..."], "decision": "allow"},`, 1)
	text = strings.Replace(text, `"scripts": false`, `"scripts": true`, 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	h.propose("nobody", "key", `{"kind": "exec", "params": {"argv": ["echo", "token", "`+secret+`"]}}`)
	h.must("daemon", 3, "sheratan", "gate")
	waive := []string{"sheratan", "approve", "key", "--waive", "CREDENTIAL", "--reason", "it is mine"}
	if out, code := h.as("nobody", waive...); code == 0 || strings.Contains(out, "approved") {
		t.Fatalf("the agent waived it: exit %d, %s", code, out)
	}
	for _, path := range []string{"key.json", "key.salt"} {
		if out, code := h.as("nobody", "cat", h.ws+"/runtime/.sheratan/private/"+path); code == 0 {
			t.Errorf("the agent reads %s: %s", path, out)
		}
	}
	h.must("daemon", 0, append([]string{"sheratan"}, waive[1:]...)...)
	h.must("daemon", 0, "sheratan", "tick")
	for _, command := range []string{"why", "logs"} {
		if out := h.must("nobody", 0, "sheratan", command, "key"); strings.Contains(out, secret) || !strings.Contains(out, "waived") {
			t.Errorf("%s:\n%s", command, out)
		}
	}
	if out, code := h.as("nobody", "grep", "-rl", secret, h.ws+"/runtime/outbox"); code == 0 {
		t.Errorf("the agent finds it in %s", out)
	}
}

// TestAgentFollows: an agent with a user of its own can wait for what its job writes.
func TestAgentFollows(t *testing.T) {
	h := newHousehold(t, "nobody")
	h.propose("nobody", "slow", `{"kind": "exec", "params": {"argv": ["echo", "what it wrote"]}}`)
	h.must("daemon", 0, "sheratan", "gate")
	ended := make(chan string, 1)
	go func() {
		out, code := h.as("nobody", "sheratan", "logs", "-f", "slow")
		ended <- fmt.Sprintf("exit %d\n%s", code, out)
	}()
	select {
	case out := <-ended:
		t.Fatalf("before the job has run: %s", out)
	case <-time.After(time.Second):
	}
	h.must("daemon", 0, "sheratan", "tick")
	select {
	case out := <-ended:
		if !strings.HasPrefix(out, "exit 0") || strings.Count(out, "\nwhat it wrote\n") != 1 {
			t.Errorf("%s", out)
		}
	case <-time.After(time.Minute):
		t.Error("it does not end with the job")
	}
	for _, args := range [][]string{{"--attempt", "1"}, {"--remove", "--reason", "x"}} {
		if out, code := h.as("nobody", append([]string{"sheratan", "logs", "slow"}, args...)...); code == 0 {
			t.Errorf("%v: %s", args, out)
		}
	}
}
