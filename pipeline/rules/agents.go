package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/runtime/workspace"
)

// agentsText is AGENTS.md of a new workspace: what an agent has to know in order to propose, and no more.
func agentsText(plan *workspace.Plan, cfg Config, own []KindLine) []byte {
	w := plan.Workspace
	source, inbox := "inbox", w.Rel(w.Inbox())
	replies := w.Rel(w.RepliesDir()) + "/SOURCE"
	if len(plan.Agents) > 1 {
		inbox += "/USER"
		replies = w.Rel(w.RepliesDir()) + "/USER"
	}
	if len(plan.Agents) == 1 {
		source = plan.Agents[0].Name
		inbox, replies = w.Rel(w.InboxOf(source)), w.Rel(w.Replies(source))
	}
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# Working here: propose, and read the answer")
	p("")
	p("You do not run things here yourself. You propose a job as a JSON file; gates check it, perhaps a person decides, it")
	p("runs, and the answer is put where you can read it. Everything is recorded.")
	p("")
	p("Folders are named here as seen from the folder that holds this file, the workspace.")
	p("")
	p("## Propose")
	p("")
	p("Write a file that ends in `.json` into `%s/`:", inbox)
	p("")
	p("```json")
	p(`{ "id": "count-lines-1",`)
	p(`  "payload": { "kind": "exec", "params": { "argv": ["wc", "-l", "README.md"] } },`)
	p(`  "timeout_seconds": 60 }`)
	p("```")
	p("")
	p("Only `payload` is required. `id` is yours to choose (letters, digits, `.`, `_`, `-`), so that you can find the answer and")
	p("so that other jobs can wait for it. You may also set `depends_on` (a list of ids), `priority` (high, normal, low),")
	p("`max_retries`, `retry_backoff`, `retry_jitter`, `retry_on` and `no_retry_on` (exit codes), `idempotency_key` (done once),")
	p("`concurrency_key` (one at a time), `on_dependency_failure`, `required_capabilities`, `task_id`, `mission_id`, `outputs`.")
	p("Anything else is refused. A job that fails is started again only if it sets `max_retries`, or where its kind or rule says that")
	p("this does no harm: three times, or as often as that says. What has failed for good is done again when it is proposed again, with")
	p("another id and the same `idempotency_key`.")
	p("")
	p("A job finds the results and the output of those in `depends_on` in the folder that `$SHERATAN_DEPS` names: `ID/result.json`,")
	p("`ID/stdout`, `ID/stderr`. `on_dependency_failure` is `fail` (it fails with them), `skip` or `wait`.")
	p("")
	p("`outputs` are files that the job leaves and that are kept with its result, as `[\"report.txt\", \"logs/*.log\"]`. They are looked")
	p("for in the private folder of the attempt (`$SHERATAN_WORK`), then in the folder that the job works in. One that is missing")
	p("makes the job fail, unless it says `{\"path\": \"report.txt\", \"optional\": true}`.")
	p("")
	p("Several proposals go into one file that ends in `.jsonl`, one per line. It is taken when it has not changed for two")
	p("seconds; write it under another name first and rename it to `NAME.ready.jsonl`, and it is taken at once. Names that begin")
	p("with `.` or end in `.tmp` are never taken.")
	if len(plan.Agents) > 1 {
		p("USER is the name of your user.")
	}
	if len(plan.Agents) == 0 {
		p("A folder of your own, `%s/NAME/`, makes NAME your source.", inbox)
	}
	p("")
	p("| kind | params |")
	p("|---|---|")
	for _, k := range kindRows {
		if how := listed(cfg.Gates.Kinds, k[0]); how != "" {
			p("| `%s`%s | `%s` |", k[0], how, k[1])
		}
	}
	for _, k := range own {
		p("| `%s`%s | `%s`: %s |", k.Name, listed(cfg.Gates.Kinds, k.Name), strings.ReplaceAll(k.Params, "|", "\\|"), k.Summary)
	}
	p("")
	p("Where there is a kind for what you want, take it rather than `exec`. `sheratan kinds show KIND` prints what each of its")
	p("parameters is; those with `?` may be left out.")
	p("")
	p("Paths are relative to `%s`. Paths with `..`, and everything in a `.git`, are refused.", plan.Roots[0])
	p("")
	p("`exec` takes a program and its arguments, never a line for a shell. There are rules for: %s.", programList(cfg.Gates.Exec))
	loopback := ""
	if cfg.Sandbox.Minimum == string(sandbox.LevelFull) {
		loopback = " but a 127.0.0.1 of its own"
	}
	p("Arguments are matched one by one; options that write files or run other programs are not allowed.")
	p("A program runs in a sandbox: it reads the system and the folders above, and changes only those of its own, `$HOME` and")
	p("`$TMPDIR`, unless its rule says that it may write. It has no network%s, and what it starts ends when it does.", loopback)
	p("")
	p("## Read the answer")
	p("")
	p("`%s/ID.json` has the latest answer: `status`, `message`, `exit_code`, the beginning of `stdout`", replies)
	p("and `stderr`, and `result_path`: the job with its whole result, `artifacts` among it. It is replaced as the job goes on.")
	if len(plan.Agents) == 0 {
		p("SOURCE is the folder of the inbox that you wrote to, or `inbox`.")
	}
	p("")
	p("| status | means |")
	p("|---|---|")
	p("| `pending`, `throttled`, `running` | it is allowed, and waits or runs |")
	p("| `completed`, `failed` | it is over |")
	p("| `quarantined` | it was not allowed: see below |")
	p("| `cancelled` | an operator ended or refused it |")
	p("")
	p("## When it was refused")
	p("")
	p("`reasons` lists each finding with its `gate` (G0 where it comes from, G1 its form, G2 its cost, G3 whether it may, G4 policy),")
	p("a `code`, a `message` and a `pointer` to the place in your proposal. `suggestions` are changes (RFC 6902) that would mend it.")
	p("Correct it and propose it again under a new `id`. Where `next_action` is `REQUIRE_OPERATOR_ACK`, a person has to decide:")
	p("do not propose it again, wait or go on with something else. Do not try to get around a refusal; ask the operator, who")
	p("can see the reason with `sheratan why ID`.")
	return []byte(b.String())
}

var kindRows = [][2]string{
	{"noop", "{}"},
	{"exec", `{"argv": [PROGRAM, ARG…], "cwd"?, "env"?, "stdin"?}`},
	{"file_read", `{"path", "max_bytes"?}`},
	{"file_list", `{"path", "recursive"?}`},
	{"file_write", `{"path", "content", "mode": "create" or "overwrite" or "append"}`},
	{"file_edit", `{"path", "old", "new"}`},
	{"file_patch", `{"path", "diff"}`},
	{"llm", `{"model", "prompt" or "prompt_name", "system"?, "schema"?}`},
}

// listed says how a kind is allowed; "" is not at all.
func listed(l gates.KindLists, kind string) string {
	switch l.Decision(kind) {
	case "manual":
		return " (an operator decides each time)"
	case "allow":
		return " "
	}
	return ""
}

// programList names the programs, each once.
func programList(rules []gates.ExecRule) string {
	var names []string
	for _, r := range rules {
		name := "`" + r.Program + "`"
		if strings.HasPrefix(r.Program, "/") || slices.Contains(names, name) {
			continue
		}
		if r.Decision == gates.DecisionAsk {
			name += " (an operator decides)"
			if slices.Contains(names, name) {
				continue
			}
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return "no program yet"
	}
	return strings.Join(names, ", ")
}
