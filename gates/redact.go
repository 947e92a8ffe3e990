package gates

import (
	"fmt"
	"strings"

	"github.com/sheratan/sheratan/gates/secrets"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/schemas"
)

// HasCredential reports whether the gates found a credential. Such a document must not be stored or printed as it is.
func HasCredential(r job.Report) bool {
	for _, g := range r.Gates {
		for _, reason := range g.Reasons {
			if reason.Code == CodeCredential {
				return true
			}
		}
	}
	return false
}

// redactReport takes out of a report whatever repeats the proposal, after a credential was found in it. Messages quote
// values, and may have cut them to a length at which no pattern knows them any more; so they give way to the meaning of
// their codes. What is left of the proposal are the names in pointers, which are redacted one by one.
func redactReport(r *job.Report, parseErr *schemas.ParseError) {
	for i := range r.Gates {
		g := &r.Gates[i]
		for j := range g.Reasons {
			reason := &g.Reasons[j]
			reason.Pointer = redactPointer(reason.Pointer)
			if !quotesNothing(reason.Code) {
				reason.Message = meaning(reason.Code)
				if parseErr != nil && parseErr.Line > 0 && g.GateID == "G1" {
					reason.Message += fmt.Sprintf(", at line %d column %d", parseErr.Line, parseErr.Column)
				}
			}
			reason.Message, _ = secrets.Redact(reason.Message)
		}
		kept := make([]job.Patch, 0, len(g.Suggestions))
		for _, p := range g.Suggestions {
			if redactPointer(p.Path) == p.Path && p.From == "" && (len(p.Value) == 0 || p.Value[0] != '"') {
				kept = append(kept, p)
			}
		}
		g.Suggestions = kept
		for _, name := range []string{"claimed_source", "missing_capabilities", "cycle", "argv"} {
			delete(g.Evidence, name)
		}
	}
}

// quotesNothing reports whether messages with this code are made of the operator's words, or of the name of a format.
func quotesNothing(code string) bool {
	return code == CodeCredential || code == "POLICY_RULE" || code == "MARKER" || code == CodeNotExamined
}

func meaning(code string) string {
	for i := range Reasons {
		if Reasons[i].Code == code {
			return Reasons[i].Meaning
		}
	}
	return "refused"
}

// redactPointer replaces every token that has a credential, or is too long for the name of a member.
func redactPointer(pointer string) string {
	if pointer == "" {
		return pointer
	}
	tokens := strings.Split(pointer[1:], "/")
	for i, t := range tokens {
		plain := schemas.UnescapeToken(t)
		if clean, n := secrets.Redact(plain); n > 0 {
			tokens[i] = schemas.EscapeToken(clean)
		} else if len(plain) > 64 {
			tokens[i] = "[redacted]"
		}
	}
	return "/" + strings.Join(tokens, "/")
}
