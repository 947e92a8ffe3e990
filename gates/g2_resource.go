package gates

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/schemas"
)

// resources is G2: is it affordable? It looks at the numbers that the job would run with, defaults included. Rates and
// queue depth are not asked about here: what exceeds them waits, and is not refused.
func (e *evaluation) resources(v *verdict) {
	if e.notExamined(v) {
		return
	}
	limits := e.rules.config.Limits
	standard, most := e.timeouts()
	e.atMost(v, "TIMEOUT_EXCEEDED", "timeout_seconds", standard, most)
	e.atMost(v, "RETRIES_EXCEEDED", "max_retries", 0, limits.MaxRetries) // what a rule gives stays within the limit
	e.payloadSize(v, limits.PayloadBytes)
	if n, ok := number(e.params["max_bytes"]); ok && !e.own() && limits.OutputBytes > 0 && n > float64(limits.OutputBytes) {
		v.add("OUTPUT_EXCEEDED", "/payload/params/max_bytes", "%s bytes are asked for, the limit is %d", show(n), limits.OutputBytes)
		v.suggest("replace", "/payload/params/max_bytes", limits.OutputBytes)
	}
	e.dependencies(v, limits.DependsOn)
	e.priority(v)
}

// timeouts returns the timeout that a proposal gets where it names none, and the limit: an operator's own kind can have
// both, and of two limits the lower one holds.
func (e *evaluation) timeouts() (standard, most int) {
	standard, most = job.DefaultTimeoutSeconds, e.rules.config.Limits.TimeoutSeconds
	if e.kind == nil {
		return standard, most
	}
	if e.kind.Timeout > 0 {
		standard = e.kind.Timeout
	}
	if own := e.kind.MaxTimeout; own > 0 && (most == 0 || own < most) {
		most = own
	}
	return standard, most
}

// atMost checks a number at the top of the proposal.
func (e *evaluation) atMost(v *verdict, code, field string, standard, limit int) {
	n, given := number(e.object[field])
	op := "replace"
	if !given {
		n, op = float64(standard), "add"
	}
	if limit <= 0 || n <= float64(limit) {
		return
	}
	if given {
		v.add(code, "/"+field, "%s is %s, the limit is %d", field, show(n), limit)
	} else {
		v.add(code, "", "%s is left out and so %d, the limit is %d", field, standard, limit)
	}
	v.suggest(op, "/"+field, limit)
}

func (e *evaluation) payloadSize(v *verdict, limit int) {
	if e.oversized(limit) {
		v.add("PAYLOAD_EXCEEDED", "/payload", "the payload has %d bytes, the limit is %d", e.size, limit)
	}
}

// oversized measures the canonical payload, once. The proposal around it is longer, so it has to be measured only where the
// whole is over the limit.
func (e *evaluation) oversized(limit int) bool {
	if limit <= 0 || e.object["payload"] == nil || len(e.in.Intake.Proposal) > 0 && len(e.in.Intake.Proposal) <= limit {
		return false
	}
	if e.size == 0 {
		b, err := schemas.Marshal(e.object["payload"])
		if e.size = len(b); err != nil {
			e.size = math.MaxInt
		}
	}
	return e.size > limit
}

func (e *evaluation) dependencies(v *verdict, limit int) {
	deps, _ := e.object["depends_on"].([]any)
	if limit > 0 && len(deps) > limit {
		v.add("DEPENDENCIES_EXCEEDED", "/depends_on", "it depends on %d jobs, the limit is %d", len(deps), limit)
	}
	own, _ := e.object["id"].(string)
	for i, d := range deps {
		if id, ok := d.(string); ok && id != "" && (id == e.in.Intake.JobID || id == own) {
			pointer := "/depends_on/" + strconv.Itoa(i)
			v.add("DEPENDENCY_CYCLE", pointer, "it depends on itself")
			v.suggest("remove", pointer, nil)
			return
		}
	}
	if cycle := e.in.Facts.Cycle; len(cycle) > 0 {
		shown := cycle[:min(len(cycle), 20)]
		v.add("DEPENDENCY_CYCLE", "/depends_on", "it would wait for itself: %s", strings.Join(shown, " → "))
		v.note("cycle", slices.Clone(shown))
	}
}

// priority compares with the most urgent one that the source may ask for.
func (e *evaluation) priority(v *verdict) {
	if e.source == nil {
		return // G0 refused
	}
	asked, given := job.DefaultPriority, false
	switch p := e.object["priority"].(type) {
	case string:
		if n, err := job.ParsePriority(p); err == nil {
			asked, given = n, true
		}
	case json.Number:
		if n, ok := number(p); ok && n == math.Trunc(n) && n >= 0 && n <= float64(job.PriorityLow) {
			asked, given = job.Priority(n), true
		}
	}
	most := job.Priority(e.source.maxPriority)
	if asked >= most {
		return
	}
	op, pointer := "replace", "/priority"
	if !given {
		op, pointer = "add", ""
	}
	v.add("PRIORITY_EXCEEDED", pointer, "priority is %s, source %q may ask for %s at most", asked, e.in.Intake.Provenance.Source, most)
	v.suggest(op, "/priority", most.String())
}

// number reads any form of a number in a parsed document.
func number(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil || math.IsInf(f, 0)
}

func show(n float64) string { return strconv.FormatFloat(n, 'g', -1, 64) }
