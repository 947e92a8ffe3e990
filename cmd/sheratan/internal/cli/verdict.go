package cli

import (
	"fmt"
	"strings"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

// verdicts collects what became of the jobs of a command, for its exit code.
type verdicts struct{ blocked, failed bool }

// add takes the state in which a job was left. A cancelled job did not do what was asked, so it counts as failed.
func (v *verdicts) add(status string) {
	switch job.Status(status) {
	case job.StatusQuarantined:
		v.blocked = true
	case job.StatusFailed, job.StatusCancelled:
		v.failed = true
	}
}

// outcome returns the exit code as an error; failed wins over blocked.
func (v *verdicts) outcome() error {
	switch {
	case v.failed:
		return outcome(exitFailed)
	case v.blocked:
		return outcome(exitBlocked)
	}
	return nil
}

// printVerdict prints what the gates said of one job: a line, and one for each reason below it.
func (a *app) printVerdict(l pipeline.GateLine) error {
	if a.global.JSON {
		return a.out.line(l)
	}
	s := a.out.style
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s", escape(l.JobID), s.word(whereabouts(l)))
	if l.Verdict != "" {
		fmt.Fprintf(&b, "  %s", s.word(l.Verdict))
	}
	if l.NextAction != "" && l.NextAction != string(job.Allow) {
		fmt.Fprintf(&b, "  %s", s.word(l.NextAction))
	}
	b.WriteByte('\n')
	writeReasons(&b, l.Reports, "  ")
	return a.out.printf("%s", b.String())
}

// whereabouts says in a word what became of a job.
func whereabouts(l pipeline.GateLine) string {
	if l.Zone == "outbox" {
		return l.Status // it is over
	}
	return l.Zone
}

// writeReasons writes one line for each reason of the gates.
func writeReasons(b *strings.Builder, reports []job.GateReport, indent string) {
	for _, g := range reports {
		for _, r := range g.Reasons {
			fmt.Fprintf(b, "%s%s %s", indent, escape(g.GateID), escape(r.Code))
			if r.Pointer != "" {
				fmt.Fprintf(b, " %s", escape(r.Pointer))
			}
			fmt.Fprintf(b, ": %s\n", escape(r.Message))
		}
	}
}
