package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// TestAgentWorks is what the tools are for.
func TestAgentWorks(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.setConfig(`"scripts": false`, `"scripts": true`)
	a := newAgent(t, s)
	if got := a.session.InitializeResult(); got.ServerInfo.Name != "sheratan" || !strings.Contains(got.Instructions, "list_kinds") {
		t.Errorf("initialize: %+v", got)
	}
	list, err := a.session.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
		if readOnly := tool.Name != "propose"; tool.Annotations.ReadOnlyHint != readOnly || tool.Description == "" {
			t.Errorf("%s: %+v", tool.Name, tool.Annotations)
		}
	}
	if want := "list_kinds list_missions propose result show_mission wait why"; strings.Join(names, " ") != want {
		t.Errorf("tools %q, want %q", names, want)
	}

	kinds := a.must("list_kinds", nil)
	if text := fmt.Sprint(kinds); !strings.Contains(text, "kind:exec") || strings.Contains(text, "kind:http_get") || !strings.Contains(text, "`echo`") {
		t.Errorf("list_kinds: %.2000s", text)
	}
	got := a.must("propose", echo("hello", "one\ntwo"))
	if got["job_id"] != "hello" || got["verdict"] != "PASS" {
		t.Errorf("propose: %v", got)
	}
	if got = a.must("wait", obj{"job_id": "hello"}); got["status"] != "completed" || got["done"] != true || got["stdout"] != "one\ntwo\n" {
		t.Errorf("wait: %v", got)
	}
	if got = a.must("result", obj{"job_id": "hello"}); got["exit_code"] != 0.0 || got["$schema"] != "sheratan.result/v1" {
		t.Errorf("result: %v", got)
	}
	if got = a.must("result", obj{"job_id": "hello", "part": "stdout", "offset": 4}); got["text"] != "two\n" || got["total_bytes"] != 8.0 {
		t.Errorf("result of a part: %v", got)
	}
	if got = a.must("why", obj{"job_id": "hello"}); got["unblock"] != nil || !strings.Contains(fmt.Sprint(got["steps"]), "source:mcp") {
		t.Errorf("why: %v", got)
	}
	if got = a.must("list_missions", nil); len(got["missions"].([]any)) != 0 {
		t.Errorf("list_missions: %v", got)
	}

	// What is refused says why and where; the operator decides, not the agent, and the agent hears of it.
	got = a.must("propose", obj{"id": "peek", "payload": obj{"kind": "file_read", "params": obj{"path": "../config/sheratan.json"}}})
	if got["status"] != "quarantined" || !strings.Contains(fmt.Sprint(got["reasons"]), "TRAVERSAL") {
		t.Errorf("a refused one: %v", got)
	}
	note := obj{"id": "note", "payload": obj{"kind": "file_write", "params": obj{"path": "n.txt", "content": "hi", "mode": "create"}}}
	if got = a.must("propose", note); got["next_action"] != "REQUIRE_OPERATOR_ACK" {
		t.Errorf("one for an operator: %v", got)
	}
	if got = a.must("wait", obj{"job_id": "note", "seconds": 1}); got["done"] != true || !strings.Contains(fmt.Sprint(got["waits_for"]), "operator") {
		t.Errorf("waiting for an operator: %v", got)
	}
	s.must("approve", "note")
	if got = a.must("wait", obj{"job_id": "note"}); got["status"] != "completed" {
		t.Errorf("after approval: %v", got)
	}
	// Many at once, and a tick beside them.
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			id := a.must("propose", echo("", fmt.Sprint("n", i)))["job_id"]
			if got := a.must("wait", obj{"job_id": id}); got["stdout"] != fmt.Sprintf("n%d\n", i) {
				t.Errorf("%v: %v", id, got)
			}
		})
	}
	s.must("tick")
	wg.Wait()
	a.close()
	s.must("ledger", "verify")
	s.must("index", "check")
}

// TestAgentIsNobodyElse tries to be another source, the operator, or a reader of others' work. Each attack has the honest call
// beside it, which works.
func TestAgentIsNobodyElse(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.must("submit", "--wait", "--id", "theirs", "--", "echo", "private")
	mission := `{"$schema": "sheratan.mission/v1", "id": "%s", "title": "x", "tasks": [{"id": "a", "job": {"payload": {"kind": "noop", "params": {}}}}]}`
	for name, source := range map[string]string{"their-mission": "operator", "my-mission": "crawler"} {
		s.write("missions/"+name+".json", fmt.Appendf(nil, mission, name))
		s.must("mission", "submit", name, "--run", "1", "--source", source)
	}
	a := newAgent(t, s, "--source", "crawler")
	a.must("propose", echo("mine", "x"))
	missions := fmt.Sprint(a.must("list_missions", nil))
	if !strings.Contains(missions, "mission_id:my-mission-1") || strings.Contains(missions, "their-mission") {
		t.Errorf("list_missions: %s", missions)
	}
	a.must("wait", obj{"job_id": "my-mission-1.a"})
	if got := a.must("show_mission", obj{"mission_id": "my-mission-1"}); got["state"] != "completed" || len(got["task_list"].([]any)) != 1 {
		t.Errorf("show_mission: %v", got)
	}
	with := func(member string, value any) obj {
		p := echo("spoof-"+strings.ToLower(strings.Trim(member, "$_")), "x")
		p[member] = value
		return p
	}
	for _, tt := range []struct {
		tool string
		args any
		says string
	}{
		{"propose", with("source", "operator"), "/source: is not yours to set"},
		{"propose", with("$schema", "sheratan.proposal/v1"), "is not yours to set"},
		{"propose", []any{1}, ""},
		{"result", obj{"job_id": "theirs"}, "no such job"},
		{"result", obj{"job_id": "theirs", "part": "stdout"}, "no such job"},
		{"why", obj{"job_id": "theirs"}, "no such job"},
		{"wait", obj{"job_id": "theirs"}, "no such job"},
		{"why", obj{"job_id": "../../config/sheratan"}, "no such job"},
		{"why", obj{"job_id": ""}, "no such job"},
		{"result", obj{"job_id": "mine", "part": "../../../config/sheratan.json"}, "no such artifact; result without part lists what there is"},
		{"result", obj{"job_id": "mine", "part": "/etc/passwd"}, "no such artifact"},
		{"result", obj{"job_id": "mine", "part": "stdout", "offset": -1}, "want 0 or more"},
		{"result", obj{"job_id": "mine", "part": "stdout", "offset": 1 << 40}, "behind the end"},
		{"result", obj{"job_id": "mine", "attempt": 7}, "there is no attempt 7, the latest is 1; leave attempt out"},
		{"wait", obj{"job_id": "mine", "seconds": 301}, "not between 0 and 300"},
		{"wait", obj{"job_id": "mine", "source": "operator"}, "source"},
		{"wait", obj{"job_id": []string{"mine"}}, "job_id"},
		{"list_missions", obj{"limit": 1000}, "not between 1 and 100"},
		{"show_mission", obj{"mission_id": "their-mission-1"}, "no such mission; list_missions names yours"},
		{"approve", obj{"job_id": "mine"}, "unknown tool"},
		{"tick", nil, "unknown tool"},
	} {
		if tt.tool != "propose" && tt.says == "no such job" {
			a.must("wait", obj{"job_id": "mine"}) // the control
		}
		if got, failure := a.call(tt.tool, tt.args); failure == "" || !strings.Contains(failure, tt.says) {
			t.Errorf("%s %v: %v, %q, want %q", tt.tool, tt.args, got, failure, tt.says)
		} else if strings.Contains(failure, "private") || strings.Contains(failure, s.ws) {
			t.Errorf("%s %v tells too much: %s", tt.tool, tt.args, failure)
		}
	}
	// What only the gates can see is in the ledger as refused.
	for member, value := range map[string]any{"provenance": obj{"zone": "operator"}, "approved_by": "operator", "status": "completed", "zone": "output"} {
		if got, failure := a.call("propose", with(member, value)); failure != "" || got["status"] != "quarantined" {
			t.Errorf("%s: %v %s", member, got, failure)
		}
	}
	// The id of another's job does not reach that job.
	got := a.must("propose", echo("theirs", "x"))
	if got["status"] != "quarantined" || got["job_id"] == "theirs" {
		t.Errorf("another's id: %v", got)
	}
	if _, failure := a.call("propose", echo("big", strings.Repeat("x", 2<<20))); !strings.Contains(failure, "bytes") {
		t.Errorf("a huge one: %.300s", failure)
	}
	a.close()
	for _, j := range s.jobs() {
		if j.Provenance.Source != "crawler" && j.JobID != "theirs" && j.JobID != "their-mission-1.a" {
			t.Errorf("job %s is of source %s", j.JobID, j.Provenance.Source)
		}
	}
	s.fails(64, []string{"is for people"}, "mcp", "--source", "operator")
	s.fails(64, []string{"no valid name"}, "mcp", "--source", "../x")
	s.must("ledger", "verify")
}

// TestAgentReadsNoSecrets lets a job print a credential in the middle of much else, and reads all of it.
func TestAgentReadsNoSecrets(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	secret := "gh" + "p_" + strings.Repeat("aB3dE5fG7h", 4)[:36]
	s.write("work/config.txt", []byte(strings.Repeat("a line of a file\n", 3855)+"token: "+secret+"\n"+strings.Repeat("more\n", 9000)))
	a := newAgent(t, s)
	a.must("propose", obj{"id": "read", "payload": obj{"kind": "file_read", "params": obj{"path": "config.txt"}}})
	if got := a.must("wait", obj{"job_id": "read"}); got["status"] != "completed" {
		t.Fatalf("wait: %v", got)
	}
	all, offset := "", 0
	for n := 0; ; n++ {
		got := a.must("result", obj{"job_id": "read", "part": "stdout", "offset": offset})
		all += got["text"].(string)
		next, more := got["next_offset"].(float64)
		if !more {
			break
		}
		if offset = int(next); n > 10 {
			t.Fatal("it does not end")
		}
	}
	a.close()
	if strings.Contains(all, secret[4:20]) || !strings.Contains(all, "[redacted") {
		t.Error("the credential is told")
	}
	if strings.Count(all, "a line of a file\n") != 3855 || strings.Count(all, "more\n") != 9000 {
		t.Errorf("the rest is not: %d bytes", len(all))
	}
}

// TestAgentGone ends clients in the middle: the job that runs is finished, and nothing hangs.
func TestAgentGone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.setConfig(`"exec": [`, `"exec": [{"program": "sleep", "args": ["[0-9]"], "decision": "allow"},`)
	a := newAgent(t, s)
	sleep := obj{"id": "nap", "payload": obj{"kind": "exec", "params": obj{"argv": []string{"sleep", "2"}}}}
	a.must("propose", sleep)
	// A call that is given up is none of the job's business.
	ctx, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	if _, err := a.session.CallTool(ctx, &mcp.CallToolParams{Name: "wait", Arguments: obj{"job_id": "nap"}}); err == nil {
		t.Error("wait did not wait")
	}
	stop()
	a.close()
	if got := s.status("nap"); got != "completed" {
		t.Errorf("the job is %s", got)
	}
	// With --no-run nothing runs, and a tick does it.
	b := newAgent(t, s, "--no-run")
	if got := b.must("propose", echo("later", "x")); got["status"] != "inbox" {
		t.Errorf("propose: %v", got)
	}
	if got := b.must("wait", obj{"job_id": "later", "seconds": 0}); got["status"] != "inbox" || got["done"] != false {
		t.Errorf("wait: %v", got)
	}
	s.must("tick")
	if got := b.must("wait", obj{"job_id": "later"}); got["status"] != "completed" {
		t.Errorf("wait: %v", got)
	}
	b.close()
	s.must("ledger", "verify")
}
