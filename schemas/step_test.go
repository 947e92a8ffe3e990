package schemas_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/gates/policy"
	"github.com/sheratan/sheratan/hosts"
	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/ledger"
	"github.com/sheratan/sheratan/schemas"
)

// TestTypesAndSchemasAgree compares the JSON names of the Go types with the schemas: the same members everywhere, and
// required are those that are always printed.
func TestTypesAndSchemasAgree(t *testing.T) {
	for name, v := range map[string]any{
		"proposal": job.Proposal{},
		"intake":   job.Intake{},
		"job":      job.Job{},
		"report":   job.Report{},
		"result":   job.Result{},
		"event":    ledger.Event{},
		"host":     hosts.Host{},
		"policy":   policy.File{},
		"reply":    pipeline.Reply{},
		"bids":     pipeline.Bids{},
		"rules":    rules.Effective{},

		"config-lock": rules.LockFile{},
	} {
		doc := document(t, name)
		compareType(t, name, reflect.TypeOf(v), doc, doc)
	}
}

// TestConfigAgrees compares the configuration with its schema: the members, and the defaults.
func TestConfigAgrees(t *testing.T) {
	doc := document(t, "config")
	properties := doc["properties"].(map[string]any)
	section := func(path ...string) map[string]any {
		var v any = properties
		for _, p := range path {
			v = v.(map[string]any)[p]
		}
		return resolve(t, v.(map[string]any), doc)
	}
	defaults := rules.DefaultConfig()
	for _, part := range []struct {
		schema map[string]any
		v      any
	}{
		{section("sources", "additionalProperties"), gates.DefaultSource()},
		{section("limits"), defaults.Limits},
		{section("gates"), defaults.Gates},
		{section("host"), defaults.Host},
		{section("sandbox"), defaults.Sandbox},
		{section("sandbox", "properties", "limits"), defaults.Sandbox.Limits},
		{section("operators"), defaults.Operators},
		{section("gates", "properties", "kinds"), defaults.Gates.Kinds},
		{section("gates", "properties", "exec", "items"), gates.ExecRule{}},
		{section("gates", "properties", "cross_source_dependencies", "items"), gates.CrossSourceDependency{}},
	} {
		var inGo []string
		for _, f := range reflect.VisibleFields(reflect.TypeOf(part.v)) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			inGo = append(inGo, name)
		}
		members := part.schema["properties"].(map[string]any)
		if inSchema := slices.Sorted(maps.Keys(members)); !slices.Equal(slices.Sorted(slices.Values(inGo)), inSchema) {
			t.Errorf("%T: the type has %v, the schema %v", part.v, inGo, inSchema)
		}
		text, err := schemas.Marshal(part.v)
		if err != nil {
			t.Fatal(err)
		}
		values := parse(t, string(text)).(map[string]any)
		for name, m := range members {
			if _, isRule := part.v.(gates.ExecRule); isRule {
				break
			}
			if want, ok := m.(map[string]any)["default"]; ok && !reflect.DeepEqual(values[name], want) {
				t.Errorf("%T: %s is %v by default, the schema says %v", part.v, name, values[name], want)
			}
		}
	}
}

// document returns a schema file as a tree.
func document(t *testing.T, name string) map[string]any {
	t.Helper()
	src, ok := schemas.Source(name)
	if !ok {
		t.Fatalf("%s: no such schema", name)
	}
	return parse(t, string(src)).(map[string]any)
}

// compareType follows the structs of a type and the objects of a schema.
func compareType(t *testing.T, where string, typ reflect.Type, schema, root map[string]any) {
	t.Helper()
	schema = resolve(t, schema, root)
	switch typ.Kind() {
	case reflect.Pointer:
		compareType(t, where, typ.Elem(), schema, root)
		return
	case reflect.Slice:
		if items, ok := schema["items"].(map[string]any); ok {
			compareType(t, where+"[]", typ.Elem(), items, root)
		}
		return
	case reflect.Struct:
	default:
		compareKind(t, where, typ, schema)
		return
	}
	properties, ok := schema["properties"].(map[string]any)
	if !ok && schema["$comment"] != nil {
		return // names the schema that says more
	}
	if !ok {
		t.Errorf("%s: the type has members, the schema has none", where)
		return
	}
	if schema["additionalProperties"] != false {
		t.Errorf("%s: additionalProperties is not false", where)
	}
	required := map[string]bool{}
	if list, ok := schema["required"].([]any); ok {
		for _, r := range list {
			required[r.(string)] = true
		}
	}
	seen := map[string]bool{}
	for _, f := range reflect.VisibleFields(typ) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue // embedded, or not in documents
		}
		seen[name] = true
		property, ok := properties[name].(map[string]any)
		if !ok {
			t.Errorf("%s: member %s is not in the schema", where, name)
			continue
		}
		if optional := options == "omitempty"; optional == required[name] {
			t.Errorf("%s: member %s: optional in Go is %v, required in the schema is %v", where, name, optional, required[name])
		}
		compareType(t, where+"/"+name, f.Type, property, root)
	}
	for name := range properties {
		if !seen[name] {
			t.Errorf("%s: member %s is not in the Go type", where, name)
		}
	}
}

// compareKind compares the type of a scalar.
func compareKind(t *testing.T, where string, typ reflect.Type, schema map[string]any) {
	t.Helper()
	want := map[reflect.Kind]string{reflect.String: "string", reflect.Bool: "boolean", reflect.Int: "integer", reflect.Int64: "integer",
		reflect.Float64: "number", reflect.Map: "object"}[typ.Kind()]
	if got, ok := schema["type"]; ok && got != want {
		t.Errorf("%s: %s in Go is %v in the schema", where, typ, got)
	}
}

func resolve(t *testing.T, schema, root map[string]any) map[string]any {
	t.Helper()
	ref, ok := schema["$ref"].(string)
	if !ok {
		return schema
	}
	defs, _ := root["$defs"].(map[string]any)
	target, ok := defs[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
	if !ok {
		t.Fatalf("%s leads nowhere", ref)
	}
	return target
}

func TestListsAgree(t *testing.T) {
	events := enum(t, "event", "properties", "event", "enum")
	var inGo []string
	for _, tr := range job.Transitions {
		inGo = append(inGo, string(tr.Event))
	}
	for _, e := range job.WorkspaceEvents {
		inGo = append(inGo, string(e))
	}
	slices.Sort(inGo)
	slices.Sort(events)
	if !slices.Equal(events, slices.Compact(inGo)) {
		t.Errorf("events\nschema %v\n    Go %v", events, slices.Compact(inGo))
	}
	var statuses []string
	for _, s := range job.Statuses {
		statuses = append(statuses, string(s))
	}
	for _, name := range []string{"job", "result", "reply"} {
		if got := enum(t, name, "properties", "status", "enum"); !slices.Equal(got, statuses) {
			t.Errorf("%s: statuses %v, want %v", name, got, statuses)
		}
	}
	priorities := enum(t, "proposal", "properties", "priority", "enum")
	for i, p := range priorities {
		if v, err := job.ParsePriority(p); err != nil || int(v) != i%4 {
			t.Errorf("priority %s: %v, %v", p, v, err)
		}
	}
	for path, want := range map[string]string{
		"verdict": "PASS WARN FAIL PAUSE", "next_action": "ALLOW REQUIRE_LLM2 REQUIRE_OPERATOR_ACK QUARANTINE",
	} {
		for _, name := range []string{"report", "reply"} {
			doc := document(t, name)
			p := resolve(t, doc["properties"].(map[string]any)[path].(map[string]any), doc)
			if got := strings.TrimSpace(strings.Join(texts(p["enum"]), " ")); got != want {
				t.Errorf("%s: %s is %s, want %s", name, path, got, want)
			}
		}
	}
}

func enum(t *testing.T, name string, path ...string) []string {
	t.Helper()
	var v any = document(t, name)
	for _, p := range path {
		v = v.(map[string]any)[p]
	}
	return texts(v)
}

func texts(v any) []string {
	var list []string
	for _, e := range v.([]any) {
		switch e := e.(type) {
		case string:
			list = append(list, e)
		case json.Number:
			list = append(list, string(e))
		}
	}
	return list
}

// TestDocumentsFit prints documents of the Go types and validates them.
func TestDocumentsFit(t *testing.T) {
	now := "2026-01-02T03:04:05.000006Z"
	in := job.Intake{Schema: job.SchemaIntake, JobID: "a", ReceivedAt: now,
		Provenance: job.Provenance{Zone: job.ZoneInbox, Source: "s", File: "f", Line: 1, OwnerUID: -1, Token: "t", ParentID: "p", Depth: 1, Signer: "x"},
		Proposal:   json.RawMessage(`{"payload":{"kind":"noop","params":{}}}`)}
	raw := in
	raw.Proposal, raw.Raw = nil, &job.Raw{SHA256: schemas.Digest(nil), Bytes: 3, Base64: "AAA="}
	report := job.Report{Schema: job.SchemaReport, Verdict: job.Warn, NextAction: job.Allow, Gates: []job.GateReport{{GateID: "G0",
		Status: job.Warn, Severity: "low", Reasons: []job.Reason{{Code: "X", Level: job.Soft}}, Evidence: map[string]any{"n": 1},
		Suggestions: []job.Patch{{Op: "move", Path: "/a", From: "/b"}}, NextAction: job.Allow}}}
	result := job.Result{Schema: job.SchemaResult, JobID: "a", Status: job.StatusFailed, ErrorCode: "TIMEOUT", Sandbox: "none"}
	resultDoc, err := schemas.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	j := job.New(in, job.Proposal{Payload: job.Payload{Kind: "noop"}})
	full := j
	full.State = job.State{UpdatedAt: now, Status: job.StatusFailed, RetryCount: 1, LastRetryAt: now, Host: "local", LeaseUntil: now,
		Result: resultDoc, Error: "e", GateDecisions: report.Gates, AuditDecision: json.RawMessage(`{}`), ExecutedBy: "local",
		ExecutionStartedAt: now, ExecutionCompletedAt: now}
	for _, doc := range []struct {
		name string
		v    any
	}{{"intake", in}, {"intake", raw}, {"report", report}, {"result", result}, {"job", j}, {"job", full},
		{"proposal", job.Proposal{Payload: job.Payload{Kind: "noop", Params: json.RawMessage("{}")}}},
		{"host", hosts.LocalHost("local", 5, []string{"exec"})}, {"config", rules.DefaultConfig()}, {"policy", json.RawMessage(policy.Default())}} {
		b, err := schemas.Marshal(doc.v)
		if err != nil {
			t.Fatal(err)
		}
		if found := schemas.Validate(doc.name, parse(t, string(b))); found != nil {
			t.Errorf("%s: %s: %v", doc.name, b, found)
		}
	}
}
