package gates

import (
	"encoding/json"
	"fmt"
	"sort"

	"github.com/sheratan/sheratan/pipeline/job"
)

// maxReasons bounds the reasons of one gate, for each level, and its suggestions. A hostile proposal can earn a hundred
// thousand, and nobody reads more than these; the evidence counts the rest.
const maxReasons = 50

// verdict collects what one gate has to say.
type verdict struct {
	levels      levels
	gate        string
	reasons     []job.Reason
	suggestions []job.Patch
	evidence    map[string]any
	perLevel    map[job.Level]int
	dropped     int
	status      job.GateStatus
	action      job.NextAction
	critical    bool // a hard reason that no config can lower
}

func newVerdict(gate string, l levels) *verdict {
	return &verdict{levels: l, gate: gate, status: job.Pass, action: job.Allow}
}

// add gives a reason. format and args make its message, one line for people.
func (v *verdict) add(code, pointer, format string, args ...any) {
	message := format
	if len(args) > 0 {
		message = fmt.Sprintf(format, args...)
	}
	v.addLevel(v.levels.of(code), code, pointer, message)
}

func (v *verdict) addLevel(s setting, code, pointer, message string) {
	status, action := consequence(s)
	v.status, v.action = v.status.Stricter(status), v.action.Stricter(action)
	if s.level == job.Hard && isCritical(code) {
		v.critical = true
	}
	if v.perLevel == nil {
		v.perLevel = make(map[job.Level]int, 1)
	}
	if v.perLevel[s.level]++; v.perLevel[s.level] > maxReasons {
		v.dropped++
		return
	}
	v.reasons = append(v.reasons, job.Reason{Code: code, Message: oneLine(message), Pointer: pointer, Level: s.level, Waivable: s.waivable})
}

// consequence is the table from the level of a reason to what the gate says. Soft is not FAIL: the gate did not refuse,
// it asks.
func consequence(s setting) (job.GateStatus, job.NextAction) {
	switch {
	case s.level == job.Advisory:
		return job.Warn, job.Allow
	case s.level == job.Soft && s.waivable:
		return job.Warn, job.RequireLLM2
	case s.level == job.Soft:
		return job.Warn, job.RequireOperatorAck
	default:
		return job.Fail, job.Quarantine
	}
}

// isCritical reports whether a code is about who somebody is, where a path leads, or a secret: nothing that happens by a
// slip of the pen.
func isCritical(code string) bool {
	if code == CodeCredential || code == CodeGateError {
		return true
	}
	for i := range Reasons {
		if r := &Reasons[i]; r.Code == code {
			return r.Fixed && !r.Waivable && (r.Gate == "G0" || r.Gate == "G3")
		}
	}
	return true
}

// note adds to the evidence.
func (v *verdict) note(name string, value any) {
	if v.evidence == nil {
		v.evidence = make(map[string]any, 2)
	}
	v.evidence[name] = value
}

// suggest adds an operation that would mend something. One whose value is long is left out: the report would repeat the
// proposal.
func (v *verdict) suggest(op, path string, value any) {
	const longest = 4096
	if len(v.suggestions) >= maxReasons {
		return
	}
	p := job.Patch{Op: op, Path: path}
	if value != nil {
		b, err := json.Marshal(value)
		if err != nil || len(b) > longest {
			return
		}
		p.Value = b
	}
	v.suggestions = append(v.suggestions, p)
}

func (v *verdict) suggestMove(from, path string) {
	if len(v.suggestions) < maxReasons {
		v.suggestions = append(v.suggestions, job.Patch{Op: "move", From: from, Path: path})
	}
}

// report prints the verdict: reasons by pointer, so that the same proposal always gives the same bytes.
func (v *verdict) report() job.GateReport {
	if len(v.reasons) > 1 {
		sort.SliceStable(v.reasons, func(i, j int) bool { return v.reasons[i].Pointer < v.reasons[j].Pointer })
	}
	if v.dropped > 0 {
		v.note("more_reasons", v.dropped)
	}
	r := job.GateReport{
		GateID:      v.gate,
		Status:      v.status,
		Severity:    v.severity(),
		Reasons:     v.reasons,
		Evidence:    v.evidence,
		Suggestions: v.suggestions,
		NextAction:  v.action,
	}
	if r.Reasons == nil {
		r.Reasons = []job.Reason{}
	}
	if r.Evidence == nil {
		r.Evidence = map[string]any{}
	}
	if r.Suggestions == nil {
		r.Suggestions = []job.Patch{}
	}
	return r
}

// severity restates the strictest reason for those who sort by it.
func (v *verdict) severity() string {
	switch {
	case v.critical:
		return "critical"
	case v.action == job.Quarantine:
		return "high"
	case v.action != job.Allow:
		return "medium"
	case v.status == job.Warn:
		return "low"
	default:
		return "none"
	}
}

// oneLine makes a message that a terminal can be trusted with: no line breaks, no characters that are obeyed or hidden.
func oneLine(s string) string {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f {
			return cleanMessage(s)
		}
	}
	return clip(s, 500)
}

// clip shortens s to at most n bytes, at a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n] + "…"
}
