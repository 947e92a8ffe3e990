package policy

import (
	"path"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/sheratan/sheratan/pipeline/job"
)

// Variables are what the expression of a rule may use, with their CEL types.
//
//	proposal    the proposal as it was written
//	params      payload.params, {} where there are none
//	kind        payload.kind
//	source      where it came from, stamped by the intake
//	provenance  all that the intake stamped; numbers are int
//	paths       the members of params that are paths of files, lexically cleaned
//	argv        the command line of an exec job, else []
var variables = []cel.EnvOption{
	cel.Variable("proposal", cel.MapType(cel.StringType, cel.DynType)),
	cel.Variable("params", cel.MapType(cel.StringType, cel.DynType)),
	cel.Variable("kind", cel.StringType),
	cel.Variable("source", cel.StringType),
	cel.Variable("provenance", cel.MapType(cel.StringType, cel.DynType)),
	cel.Variable("paths", cel.ListType(cel.StringType)),
	cel.Variable("argv", cel.ListType(cel.StringType)),
}

// PathsOf returns the RFC 6901 pointers into the params of a kind that are paths.
type PathsOf func(kind string) []string

// Subject is the proposal that rules are asked about.
type Subject struct {
	proposal   map[string]any
	params     map[string]any
	kind       string
	provenance job.Provenance
	paths      []string
	argv       []string

	stamped ref.Val
}

// NewSubject takes out of a parsed proposal what rules may ask for. Members of other types than the schema gives them
// count as missing; gate G1 reports them.
func NewSubject(proposal map[string]any, prov job.Provenance, pathsOf PathsOf) *Subject {
	s := &Subject{proposal: proposal, provenance: prov}
	payload, _ := proposal["payload"].(map[string]any)
	s.kind, _ = payload["kind"].(string)
	if s.params, _ = payload["params"].(map[string]any); s.params == nil {
		s.params = map[string]any{}
	}
	for _, pointer := range pathsOf(s.kind) {
		// Built-in kinds have their paths at the top of the params; what lies deeper is not offered to rules.
		if p, ok := s.params[pointer[1:]].(string); ok && p != "" {
			s.paths = append(s.paths, path.Clean(p))
		}
	}
	if list, ok := s.params["argv"].([]any); ok {
		s.argv = make([]string, 0, len(list))
		for _, a := range list {
			if arg, ok := a.(string); ok {
				s.argv = append(s.argv, arg)
			}
		}
	}
	return s
}

// ResolveName returns a variable. It makes a Subject a cel.Activation.
func (s *Subject) ResolveName(name string) (any, bool) {
	switch name {
	case "proposal":
		return s.proposal, true
	case "params":
		return s.params, true
	case "kind":
		return s.kind, true
	case "source":
		return s.provenance.Source, true
	case "provenance":
		if s.stamped == nil {
			s.stamped = types.DefaultTypeAdapter.NativeToValue(stamped(s.provenance))
		}
		return s.stamped, true
	case "paths":
		return s.paths, true
	case "argv":
		return s.argv, true
	}
	return nil, false
}

// Parent returns nil: there is nothing around a Subject.
func (s *Subject) Parent() cel.Activation { return nil }

// stamped has the members of job.Provenance by their JSON names, all of them.
func stamped(p job.Provenance) map[string]any {
	return map[string]any{
		"zone": p.Zone, "source": p.Source, "file": p.File, "line": p.Line, "owner_uid": p.OwnerUID, "token": p.Token,
		"mission_id": p.MissionID, "parent_job_id": p.ParentID, "depth": p.Depth, "signer": p.Signer,
	}
}
