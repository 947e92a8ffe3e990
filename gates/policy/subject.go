package policy

import (
	"path"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/sheratan/sheratan/gates/programs"
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
//	argv        the command line of exec and of the operator's own kinds, else []
//	inline_code whether argv gives code to an interpreter, itself or on its standard input
var variables = []cel.EnvOption{
	cel.Variable("proposal", cel.MapType(cel.StringType, cel.DynType)),
	cel.Variable("params", cel.MapType(cel.StringType, cel.DynType)),
	cel.Variable("kind", cel.StringType),
	cel.Variable("source", cel.StringType),
	cel.Variable("provenance", cel.MapType(cel.StringType, cel.DynType)),
	cel.Variable("paths", cel.ListType(cel.StringType)),
	cel.Variable("argv", cel.ListType(cel.StringType)),
	cel.Variable("inline_code", cel.BoolType),
}

// View returns which of the params of a job are paths of files, and its command line, [] where it has none.
type View func(kind string, params map[string]any) (paths, argv []string)

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
func NewSubject(proposal map[string]any, prov job.Provenance, view View) *Subject {
	s := &Subject{proposal: proposal, provenance: prov}
	payload, _ := proposal["payload"].(map[string]any)
	s.kind, _ = payload["kind"].(string)
	if s.params, _ = payload["params"].(map[string]any); s.params == nil {
		s.params = map[string]any{}
	}
	paths, argv := view(s.kind, s.params)
	for _, p := range paths {
		if p != "" {
			s.paths = append(s.paths, path.Clean(p))
		}
	}
	s.argv = argv
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
	case "inline_code":
		stdin, _ := s.params["stdin"].(string)
		return programs.InlineCode(s.argv, stdin), true
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
