package pipeline

import (
	"fmt"
	"strings"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// step tells one event in a line, and of a dispatch also why it was this host.
func (p *Pipeline) step(ev ledger.Event) Step {
	s := Step{Seq: ev.Seq, Time: ev.Timestamp, Event: ev.Event, Actor: ev.Actor, Text: Describe(ev)}
	if ev.Event == job.JobDispatched {
		if bids, ok := p.bidsOf(&ev); ok {
			s.Text += "; " + bids.Reason
		}
	}
	return s
}

// Describe tells an event in one line. Ids and times in it are as the event has them.
func Describe(ev ledger.Event) string {
	switch ev.Event {
	case job.ProposalReceived:
		var m ledger.Received
		_ = ev.DecodeMeta(&m) // every line was checked when it was read; a zero meta tells less, not wrong
		return fmt.Sprintf("proposed by %s: %s, priority %s", m.Source, orNothing(m.Kind), job.Priority(m.Priority))
	case job.GatesReported:
		var m ledger.Gated
		_ = ev.DecodeMeta(&m)
		var parts []string
		for _, g := range []string{"G0", "G1", "G2", "G3", "G4"} {
			parts = append(parts, g+" "+m.Gates[g])
		}
		return fmt.Sprintf("%s, %s (%s)", m.Verdict, m.NextAction, strings.Join(parts, ", "))
	case job.JobApproved:
		var m ledger.Approved
		_ = ev.DecodeMeta(&m)
		return fmt.Sprintf("allowed by %s, for document %.12s under rules %.12s", m.Basis, ev.ArtifactSHA256, m.Rules)
	case job.JobBlocked:
		var m ledger.Blocked
		_ = ev.DecodeMeta(&m)
		return fmt.Sprintf("blocked: %s, %s", m.Code, m.NextAction)
	case job.AuditRequested:
		var m ledger.AuditAsked
		_ = ev.DecodeMeta(&m)
		return fmt.Sprintf("a second opinion is asked for, attempt %d, until %s at most", m.Attempt, m.Until)
	case job.AuditReported:
		var m ledger.Audited
		_ = ev.DecodeMeta(&m)
		text := fmt.Sprintf("%s, severity %s, on document %.12s", m.Decision, m.Severity, m.Document)
		if m.Patched != "" {
			text += fmt.Sprintf(", as %.12s", m.Patched)
		}
		return text
	case job.AuditFailed:
		var m ledger.AuditMissed
		_ = ev.DecodeMeta(&m)
		if m.NextAt == "" {
			return fmt.Sprintf("attempt %d failed, the last one: %s", m.Attempt, m.Reason)
		}
		return fmt.Sprintf("attempt %d failed, again at %s: %s", m.Attempt, m.NextAt, m.Reason)
	case job.JobPatched:
		var m ledger.Patched
		_ = ev.DecodeMeta(&m)
		return fmt.Sprintf("changed as the auditor suggests: document %.12s was %.12s", ev.ArtifactSHA256, m.Before)
	case job.FindingWaived:
		var m ledger.Waived
		_ = ev.DecodeMeta(&m)
		return fmt.Sprintf("waived %s (%s) at %s, finding %.12s of document %.12s%s", m.Code, m.Format, m.Pointer, m.Finding, m.Document, because(m.Reason))
	case job.OperatorApproved, job.OperatorRejected:
		var m ledger.Decided
		_ = ev.DecodeMeta(&m)
		return fmt.Sprintf("decided on document %.12s%s", m.Document, because(m.Reason))
	case job.JobRevised:
		var m ledger.Revised
		_ = ev.DecodeMeta(&m)
		if m.Dependents > 0 {
			return fmt.Sprintf("revised by %s, for which those wait now that depend on this one (%d)", m.Revision, m.Dependents)
		}
		return "revised by " + m.Revision
	case job.JobDeduplicated:
		var m ledger.Deduplicated
		_ = ev.DecodeMeta(&m)
		if m.Resubmitted {
			return "proposed once more, word for word"
		}
		return "shares the outcome of " + m.Of
	case job.JobThrottled:
		var m ledger.Throttled
		_ = ev.DecodeMeta(&m)
		if m.Lane {
			return "waits for another job with the same concurrency key"
		}
		return "over the rate of its source, at least until " + m.Until
	case job.KeyExpired:
		var m ledger.KeyLapsed
		_ = ev.DecodeMeta(&m)
		return fmt.Sprintf("its key %s has expired, and goes to %s", m.Key, m.For)
	case job.JobDispatched, job.JobLeased:
		var m ledger.Dispatched
		_ = ev.DecodeMeta(&m)
		return fmt.Sprintf("attempt %d to host %s, lease until %s", m.Attempt, m.Host, m.LeaseUntil)
	case job.JobStarted:
		var m ledger.Started
		_ = ev.DecodeMeta(&m)
		return fmt.Sprintf("attempt %d started at %s", m.Attempt, m.StartedAt)
	case job.JobAttemptFailed, job.JobCompleted, job.JobFailed:
		return endText(ev)
	case job.JobRetryScheduled:
		var m ledger.RetryScheduled
		_ = ev.DecodeMeta(&m)
		return fmt.Sprintf("retry %d at %s", m.Retry, m.WakeAt)
	case job.JobCancelled:
		var m ledger.Cancelled
		_ = ev.DecodeMeta(&m)
		return "cancelled" + because(m.Reason)
	case job.MissionSubmitted, job.MissionCancelled, job.MissionRetried:
		var m ledger.MissionTurned
		_ = ev.DecodeMeta(&m)
		_, did, _ := strings.Cut(strings.ToLower(string(ev.Event)), "_")
		return "mission " + m.Mission + " was " + did + because(m.Reason)
	case job.DocumentRemoved:
		var m ledger.Removed
		_ = ev.DecodeMeta(&m)
		return "removed " + ev.ArtifactPath + because(m.Reason)
	case job.OutcomeUnknown, job.LeaseExpired:
		var m ledger.Unknown
		_ = ev.DecodeMeta(&m)
		return fmt.Sprintf("attempt %d: %s%s", m.Attempt, m.Reason, because(m.Error))
	default:
		return strings.ToLower(strings.ReplaceAll(string(ev.Event), "_", " "))
	}
}

func endText(ev ledger.Event) string {
	var m ledger.Ended
	_ = ev.DecodeMeta(&m)
	switch {
	case m.DeduplicatedOf != "":
		return "ended as " + m.DeduplicatedOf + " did" + because(m.Error)
	case m.Error != "":
		return fmt.Sprintf("attempt %d: %s", m.Attempt, m.Error)
	default:
		return fmt.Sprintf("attempt %d: exit code %d", m.Attempt, m.ExitCode)
	}
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func orNothing(s string) string {
	if s == "" {
		return "no usable kind"
	}
	return s
}
