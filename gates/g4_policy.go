package gates

import (
	"strings"

	"github.com/sheratan/sheratan/gates/policy"
	"github.com/sheratan/sheratan/gates/secrets"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/schemas"
)

// policies is G4: does the operator's policy allow it? Rules, phrases that hint at an attempt to gain authority, and
// credentials.
func (e *evaluation) policies(v *verdict) {
	if !e.readable {
		e.notExamined(v)
		e.rawCredentials(v)
		return
	}
	if e.in.Intake.Redacted {
		// What was found is gone from here, and what is here is not what was proposed.
		e.secrets = true
		v.add(CodeCredential, "", "there were credentials in it when it was received, and they were taken out")
	}
	normal := e.look().normal
	credential, marker := secrets.Suspect(normal), e.rules.tripwires.Scan(normal)
	if credential || marker {
		e.closer(v, credential, marker)
	}
	if e.object == nil {
		v.add(CodeNotExamined, "", "the document is no object, there is nothing that policies could ask about")
		return
	}
	subject := policy.NewSubject(e.object, e.in.Intake.Provenance, e.rules.view)
	for _, hit := range e.rules.policies.Eval(e.ctx, subject) {
		if hit.Err != nil {
			v.add("POLICY_ERROR", hit.Rule.Pointer, "%s: the rule could not be evaluated: %s", hit.ID(), hit.Err)
			continue
		}
		s := v.levels.ofRule(hit.ID(), hit.Rule.Level, hit.Rule.Waivable)
		v.addLevel(s, "POLICY_RULE", hit.Rule.Pointer, hit.ID()+": "+hit.Rule.Message)
	}
}

// closer goes over the strings one by one, after the first pass over all of them found something.
func (e *evaluation) closer(v *verdict, credential, marker bool) {
	all := textsOf(e.in.Value, e.walk.paths, e.walk.own)
	search := newCredentialSearch(all, e.in.Waivers != nil)
	for _, t := range all {
		if credential {
			e.credentials(v, t, search)
		}
		if marker {
			for _, phrase := range e.rules.tripwires.Markers(t.value) {
				v.add("MARKER", t.pointer, "the text says %q", phrase)
			}
		}
	}
	if marker {
		e.commandPhrases(v)
	}
}

func (e *evaluation) credentials(v *verdict, t text, search credentialSearch) {
	for _, c := range search.in(t) {
		e.secrets = true
		if e.in.Waivers.Hold(CodeCredential, t.pointer, c.Text) {
			v.addLevel(setting{level: job.Advisory}, CodeCredential, t.pointer, "waived by an operator: "+c.message)
			continue
		}
		v.add(CodeCredential, t.pointer, "%s", c.message)
	}
}

// rawCredentials looks through what could not be parsed, so that nobody prints or commits it unawares.
func (e *evaluation) rawCredentials(v *verdict) {
	if err := e.in.ParseErr; err != nil && len(e.in.Raw) == 0 && err.Code != schemas.CodeTooLarge && isRegular(e.in.FileType) {
		e.secrets = true // for all that is known: the other two were not read, and nothing can repeat them
	}
	for _, f := range secrets.FindEncoded(e.in.Raw) {
		e.secrets = true
		v.add(CodeCredential, "", "the text has a credential (%s)", f.Format)
	}
}

// commandPhrases looks for phrases that are spread over the arguments of a command: ["run", "as", "root"].
func (e *evaluation) commandPhrases(v *verdict) {
	argv, ok := texts(e.params["argv"])
	if !ok || len(argv) < 2 {
		return
	}
	joined := strings.Join(argv, " ")
	for _, phrase := range e.rules.tripwires.Markers(joined) {
		if !strings.Contains(phrase, " ") || inOne(e.rules.tripwires, argv, phrase) {
			continue // closer has reported it
		}
		v.add("MARKER", "/payload/params/argv", "the arguments together say %q", phrase)
	}
}

func inOne(t *policy.Tripwires, argv []string, phrase string) bool {
	for _, a := range argv {
		for _, p := range t.Markers(a) {
			if p == phrase {
				return true
			}
		}
	}
	return false
}
