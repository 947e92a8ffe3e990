package schemas_test

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sheratan/sheratan/gates/audit"
	"github.com/sheratan/sheratan/gates/policy"
	"github.com/sheratan/sheratan/hosts"
	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/pipeline/mission"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/schemas"
)

// TestSchemaFiles checks what all schema files have in common.
func TestSchemaFiles(t *testing.T) {
	names := schemas.Names()
	want := []string{"audit-report", "audit-request", "bids", "config", "config-lock", "event", "host", "intake", "job", "kind", "mission", "mission-run", "policy", "proposal", "rate-limit", "reply", "report",
		"result", "rules"}
	if !slices.Equal(names, want) {
		t.Errorf("names are %v, want %v", names, want)
	}
	if _, ok := schemas.Source("../schemas/job"); ok {
		t.Error("a path is taken for a name")
	}
	shared := map[string]any{}
	for _, name := range names {
		doc := document(t, name)
		if doc["$id"] != "sheratan."+name+"/v1" || doc["$schema"] != "https://json-schema.org/draft/2020-12/schema" {
			t.Errorf("%s: $id %v, $schema %v", name, doc["$id"], doc["$schema"])
		}
		if _, err := schemas.Lookup(name); err != nil {
			t.Error(err)
		}
		described(t, name, doc, doc)
		defs, _ := doc["$defs"].(map[string]any)
		for def, schema := range defs {
			if other, ok := shared[def]; ok && !reflect.DeepEqual(other, schema) {
				t.Errorf("%s: $defs/%s differs from that of another file", name, def)
			}
			shared[def] = schema
		}
	}
	for _, d := range []string{job.SchemaProposal, job.SchemaIntake, job.SchemaJob, job.SchemaReport, job.SchemaResult, job.SchemaReply, pipeline.SchemaBids,
		hosts.Schema, audit.SchemaReport, kind.SchemaFile, mission.Schema, mission.SchemaRun, policy.Schema, rules.SchemaConfig, rules.SchemaRules, rules.SchemaLock} {
		name := strings.TrimSuffix(strings.TrimPrefix(d, "sheratan."), "/v1")
		if p, _ := document(t, name)["properties"].(map[string]any)["$schema"].(map[string]any); p["const"] != d {
			t.Errorf("%s: $schema is %v, want %s", name, p["const"], d)
		}
	}
}

// described reports properties without a description, and objects that let anything in.
func described(t *testing.T, where string, schema, root map[string]any) {
	t.Helper()
	if properties, ok := schema["properties"].(map[string]any); ok {
		if _, ok := schema["additionalProperties"]; !ok {
			t.Errorf("%s: says nothing about additionalProperties", where)
		}
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			p := properties[name].(map[string]any)
			text, _ := p["description"].(string)
			if text == "" {
				text, _ = resolve(t, p, root)["description"].(string)
			}
			if len(text) < 8 || !strings.HasSuffix(text, ".") {
				t.Errorf("%s/%s: description %q", where, name, text)
			}
		}
	}
	for key, v := range schema {
		sub, ok := v.(map[string]any)
		switch {
		case !ok:
		case key == "properties" || key == "$defs":
			for name, member := range sub { // names are no keywords, whatever they are
				described(t, where+"/"+key+"/"+name, member.(map[string]any), root)
			}
		default:
			described(t, where+"/"+key, sub, root)
		}
	}
}
