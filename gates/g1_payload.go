package gates

import (
	"errors"
	"strings"

	"github.com/sheratan/sheratan/gates/secrets"
	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/schemas"
)

// payloadForm is G1: is it well formed? JSON, schema, the schema of the kind, and Unicode that a reader can trust.
func (e *evaluation) payloadForm(v *verdict) {
	if err := e.in.ParseErr; err != nil {
		code := string(err.Code)
		if _, known := v.levels[code]; !known {
			code = "SYNTAX"
		}
		v.add(code, err.Pointer, "%s", err.Message)
		v.note("offset", err.Offset)
		return
	}
	if e.notExamined(v) {
		return
	}
	e.proposalSchema(v)
	e.paramsSchema(v)
	e.characters(v)
}

// proposalSchema tells apart what a proposal may not set from what it sets wrongly.
func (e *evaluation) proposalSchema(v *verdict) {
	for _, x := range e.rules.proposal.Validate(e.in.Value) {
		if x.Keyword == "additionalProperties" && strings.Count(x.Pointer, "/") <= 2 {
			v.add("FIELD_NOT_SETTABLE", x.Pointer, "a proposal cannot set this field")
			v.suggest("remove", x.Pointer, nil)
			continue
		}
		e.violation(v, "", x)
	}
}

func (e *evaluation) paramsSchema(v *verdict) {
	if e.kind == nil || e.params == nil {
		return // G3 reports the first, the schema of the proposal the second
	}
	violations := e.kind.schema.Validate(e.params)
	for _, x := range violations {
		e.violation(v, "/payload/params", x)
	}
	// What a schema cannot say, such as that limits are of bytes.
	var wrong *kind.ParamError
	if _, err := e.fill(); len(violations) == 0 && errors.As(err, &wrong) {
		v.add("SCHEMA_VIOLATION", "/payload/params"+wrong.Pointer, "%s", wrong.Message)
	}
	if len(violations) == 0 && e.affordable() {
		// Whether the schema of an answer is one, which has to be compiled for that at a price that its bounds limit, and whether a
		// diff is one.
		if _, err := e.parse(); errors.As(err, &wrong) {
			v.add("SCHEMA_VIOLATION", "/payload/params"+wrong.Pointer, "%s", wrong.Message)
		}
	}
}

// affordable reports whether the kind may be proposed at all and the payload has a size that it may have. Content that costs more
// to judge than to read is judged only then: G3 and G2 refuse the others, whatever is in them.
func (e *evaluation) affordable() bool {
	return e.kind.list != kindForbidden && e.kind.list != kindUnlisted && !e.oversized(e.rules.config.Limits.PayloadBytes)
}

func (e *evaluation) violation(v *verdict, at string, x schemas.Violation) {
	v.add("SCHEMA_VIOLATION", at+x.Pointer, "%s", x.Message)
	if x.Keyword == "additionalProperties" && x.Pointer != "" {
		v.suggest("remove", at+x.Pointer, nil)
	}
}

// characters looks at the strings that are more than plain ASCII.
func (e *evaluation) characters(v *verdict) {
	w := e.look()
	sortTexts(w.odd)
	for _, t := range w.odd {
		in := inspect(t.value, t.place)
		if !in.any() {
			continue
		}
		for f := bidi; f < flaws; f++ {
			if in.found[f] > 0 {
				e.flaw(v, t, f, &in)
			}
		}
		e.suggestClean(v, t)
	}
}

func (e *evaluation) flaw(v *verdict, t text, f flaw, in *inspection) {
	code, what := flawCodes[f][inContent(t.place)], "the text"
	if t.name {
		what = "the name of the member"
	}
	if f == notNFC {
		v.add(code, t.pointer, "%s is not in Unicode normal form C", what)
		return
	}
	if n := in.found[f]; n > 1 {
		v.add(code, t.pointer, "character %d of %s, U+%04X, %s; so do %d more", in.at[f], what, in.first[f], flawNames[f], n-1)
		return
	}
	v.add(code, t.pointer, "character %d of %s, U+%04X, %s", in.at[f], what, in.first[f], flawNames[f])
}

// suggestClean offers the text without what was found: a new value, or for a name a new place. Where that would put a
// credential together which no pattern knows as it is, nothing is offered: the report goes where the proposal does.
func (e *evaluation) suggestClean(v *verdict, t text) {
	mended := clean(t.value, t.place)
	if _, found := secrets.Redact(mended); found > 0 {
		return
	}
	if !t.name {
		v.suggest("replace", t.pointer, mended)
		return
	}
	parent := t.pointer[:strings.LastIndexByte(t.pointer, '/')]
	to := parent + "/" + schemas.EscapeToken(mended)
	if _, taken := lookup(e.in.Value, to); mended != "" && !taken {
		v.suggestMove(t.pointer, to)
	}
}
