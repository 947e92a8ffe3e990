package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

func newApprove(a *app) *cobra.Command {
	var reason string
	var waive []string
	c := &cobra.Command{
		Use:   "approve ID... | -",
		Short: "allow blocked jobs, as the operator",
		Long: `Shows each blocked job with what the gates said and asks on the terminal whether it may run. The answer holds
for exactly these bytes, once, and stands in the ledger with your name.

A job that is blocked for a credential runs if each is waived: with --waive, of one job at a time, for exactly
what was found at that place, with a reason. The terminal shows what was found before it asks. Otherwise only
the job gets to see it; documents, answers, the ledger and what the job writes do not have it. Without --waive
the command lists what can be waived. What has white space or characters that a shell obeys is waived on a
terminal only.

Without a terminal it works only where the config names scripts as operators, and inside a job never.`,
		Example: `sheratan approve job-7 --reason "reviewed by me"
sheratan approve job-7 --waive CREDENTIAL:/payload/params/content --reason "an example from the manual"
sheratan jobs --status quarantined --json | sheratan approve -`,
		Annotations: workspaceExits(exitInterrupted),
		Args:        idArgs(1),
	}
	c.Flags().StringVar(&reason, "reason", "", "say why, for the ledger")
	c.Flags().StringArrayVar(&waive, "waive", nil, "overrule one finding, `CODE[:POINTER]`; may be repeated")
	c.ValidArgsFunction = a.completeJobs(string(job.StatusQuarantined))
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		switch {
		case len(waive) > 0 && (len(args) != 1 || args[0] == "-"):
			return usagef("--waive: name one job")
		case len(waive) > 0 && strings.TrimSpace(reason) == "":
			return usagef("--waive: say why, with --reason")
		}
		return runDecide(ctx, a, "approve", reason, waive, args, func(p *pipeline.Pipeline, reviews []pipeline.Review, d pipeline.Decision) error {
			return p.Approve(ctx, reviews, d, a.printVerdict)
		})
	})
	return c
}

func newReject(a *app) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "reject ID... | -",
		Short: "refuse blocked jobs, as the operator",
		Long: `Shows each blocked job with what the gates said and asks on the terminal whether it is to be cancelled with
the error REJECTED. It cannot be retried; a new version can be proposed with revise.

Without a terminal it works only where the config names scripts as operators, and inside a job never.`,
		Example:     `sheratan reject job-7 --reason "not on this machine"`,
		Annotations: workspaceExits(exitInterrupted),
		Args:        idArgs(1),
	}
	c.Flags().StringVar(&reason, "reason", "", "say why, for the ledger and the proposer")
	c.ValidArgsFunction = a.completeJobs(string(job.StatusQuarantined))
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		return runDecide(ctx, a, "reject", reason, nil, args, func(p *pipeline.Pipeline, reviews []pipeline.Review, d pipeline.Decision) error {
			ids := make([]string, 0, len(reviews))
			for _, r := range reviews {
				ids = append(ids, r.Job.ID)
			}
			return p.Reject(ctx, ids, d, a.printVerdict)
		})
	})
	return c
}

// runDecide asks about each job and hands those that were agreed to, one at a time, to apply: what was decided stays
// decided when a later one is interrupted.
func runDecide(ctx context.Context, a *app, command, reason string, waive, args []string,
	apply func(*pipeline.Pipeline, []pipeline.Review, pipeline.Decision) error) error {
	if err := a.refuseInsideJob(command); err != nil {
		return err
	}
	return a.with(ctx, func(p *pipeline.Pipeline) error {
		return a.eachIDs(ctx, args, func(ids []string) error {
			reviews, err := p.Pending(ctx, ids)
			if err != nil {
				return err
			}
			if command == "approve" {
				if err := a.waive(ctx, p, reviews, waive); err != nil {
					return err
				}
				if err := refuseHard(reviews); err != nil {
					a.tellFindings(reviews)
					return err
				}
			}
			d, err := a.newDecision(ctx, p, command, unread(reviews))
			if err != nil {
				return err
			}
			defer d.close()
			for _, r := range reviews {
				yes, err := d.ask(ctx, reviewText(r)+waivedText(r))
				if err != nil {
					return err
				}
				if !yes {
					a.people.note("%s: left as it is", r.Job.ID)
					continue
				}
				if err := apply(p, []pipeline.Review{r}, pipeline.Decision{Reason: reason, TTY: d.asked()}); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// waive adds waivers to the review of one job.
func (a *app) waive(ctx context.Context, p *pipeline.Pipeline, reviews []pipeline.Review, names []string) error {
	if len(names) == 0 || len(reviews) != 1 {
		return nil
	}
	err := p.Waive(ctx, &reviews[0], names)
	var refused *pipeline.WaiverError
	if !errors.As(err, &refused) {
		return err
	}
	a.tellFindings(reviews)
	way := "sheratan why " + shellWord(refused.ID)
	if len(refused.Choices) > 0 {
		way = waiveCommand(refused.ID, refused.Choices[:1])
	}
	return hint(errors.New(escape(refused.Error())), way)
}

func waiveCommand(id string, names []string) string {
	command := "sheratan approve " + shellWord(id)
	for _, name := range names {
		command += " --waive " + shellWord(name)
	}
	return command + " --reason TEXT"
}

// tellFindings lists what could be waived of jobs, or why not.
func (a *app) tellFindings(reviews []pipeline.Review) {
	for _, r := range reviews {
		if r.Gone != nil {
			a.people.note("%s", escape(r.Gone.Error()))
		}
		for _, f := range r.Findings {
			a.people.note("%s: %s", escape(r.Job.ID), waivableText(f))
		}
	}
}

// waivableText says what was found and where, never all of it.
func waivableText(f pipeline.Waivable) string {
	text := fmt.Sprintf("%s: %s (%s)", escape(f.Name), escape(f.Format), escape(f.Masked))
	if f.Problem != "" {
		text += "; " + f.Problem
	}
	return text
}

// unread says why a person has to be asked about the waivers of reviews, nil where a script may give them.
func unread(reviews []pipeline.Review) error {
	for i := range reviews {
		if err := reviews[i].Unread(); err != nil {
			return errors.New(escape(err.Error()))
		}
	}
	return nil
}

// waivedText is what the waivers of a review are for, byte by byte. It goes to the terminal that is asked, and nowhere else.
func waivedText(r pipeline.Review) string {
	var b strings.Builder
	for i, value := range r.Waived() {
		fmt.Fprintf(&b, "\nyou waive these %d bytes, %s:\n", len(value), escape(r.Waives[i].Name))
		for line := range strings.Lines(value) {
			b.WriteString(margin + escape(strings.TrimSuffix(line, "\n")) + "\n")
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// refuseHard stops before anybody is asked about a job that no operator may allow.
func refuseHard(reviews []pipeline.Review) error {
	for _, r := range reviews {
		if r.Overridable {
			continue
		}
		if names, ok := waivable(r); ok {
			return hint(fmt.Errorf("%s: an operator may allow it once each CREDENTIAL finding is waived", escape(r.Job.ID)),
				waiveCommand(r.Job.ID, names))
		}
		for _, g := range r.Report.Gates {
			for _, reason := range g.Reasons {
				if reason.Level == job.Hard {
					return hint(fmt.Errorf("%s: %s at %s is not for an operator to allow: %s", escape(r.Job.ID), reason.Code, g.GateID, escape(reason.Message)),
						"sheratan revise "+shellWord(r.Job.ID))
				}
			}
		}
		return hint(fmt.Errorf("%s: no operator may allow it", escape(r.Job.ID)), "sheratan why "+shellWord(r.Job.ID))
	}
	return nil
}

// waivable lists what has to be waived of a job for an operator to allow it, and reports whether that would be enough.
func waivable(r pipeline.Review) (names []string, ok bool) {
	for _, g := range r.Report.Gates {
		for _, reason := range g.Reasons {
			if reason.Level == job.Hard && reason.Code != gates.CodeCredential {
				return nil, false
			}
		}
	}
	for _, f := range r.Findings {
		if f.Problem != "" {
			return nil, false
		}
		if !slices.Contains(r.Waives, f) {
			names = append(names, f.Name)
		}
	}
	return names, len(names) > 0
}

// reviewText is what an operator sees before deciding: the whole proposal, since its bytes are what is decided on.
func reviewText(r pipeline.Review) string {
	var b strings.Builder
	j := r.Job
	fmt.Fprintf(&b, "\njob %s, proposed by source %s", escape(j.ID), escape(j.Source))
	if j.Provenance.OwnerUID >= 0 {
		fmt.Fprintf(&b, ", uid %d", j.Provenance.OwnerUID)
	}
	if j.ClaimedSource != "" && j.ClaimedSource != j.Source {
		fmt.Fprintf(&b, ", calling itself %s", escape(j.ClaimedSource))
	}
	fmt.Fprintf(&b, "\nkind %s, priority %s, timeout %d s, %d retries\n", escape(j.Payload.Kind), j.Priority, j.TimeoutSeconds, j.MaxRetries)
	for _, f := range []struct{ name, value string }{
		{"mission", j.MissionID}, {"task", j.TaskID}, {"revises", j.Revises}, {"needs", strings.Join(j.RequiredCapabilities, ", ")},
		{"signed by", j.Provenance.Signer}, {"follow-up of", j.Provenance.ParentID},
	} {
		if f.value != "" {
			fmt.Fprintf(&b, "%s %s\n", f.name, escape(f.value))
		}
	}
	if len(j.DependsOn) > 0 {
		fmt.Fprintf(&b, "after %s\n", escape(strings.Join(j.DependsOn, ", ")))
	}
	b.WriteString(proposalText(r))
	for _, place := range r.Places {
		fmt.Fprintf(&b, "%s is %s\n", escape(place.Pointer), escape(place.Path))
	}
	if r.Unknown {
		b.WriteString("an attempt was begun, and nobody knows what became of it: it would run again\n")
	}
	writeReasons(&b, r.Report.Gates, "")
	for _, f := range r.Findings {
		what := "refused"
		if slices.Contains(r.Waives, f) {
			what = "waived"
		}
		fmt.Fprintf(&b, "%s: %s\n", what, waivableText(f))
	}
	fmt.Fprintf(&b, "sha256 %s", r.DocumentSHA256)
	return b.String()
}

// indentJSON prints a JSON value over several lines, escaped for a terminal.
func indentJSON(raw json.RawMessage) string {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return escapeBlock(string(raw)) + "\n"
	}
	return escapeBlock(b.String()) + "\n"
}
