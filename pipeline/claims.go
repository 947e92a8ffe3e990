package pipeline

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/workspace"
	"github.com/sheratan/sheratan/schemas"
)

// claimEnd is what to do with a claimed file once its proposals are in the ledger.
type claimEnd struct {
	claim workspace.Claim
	keep  bool // the bytes are not in a document: move the file to the blocked job's folder
	job   *candidate
}

// take adds the proposals of a claim to the batch, flushing whenever that is full.
func (in *intake) take(ctx context.Context, claim workspace.Claim, recovered bool) (err error) {
	prov := in.p.provenance(claim)
	if claim.FileType != "" || claim.Content.Err != nil {
		c := unreadable(claim, prov, in.p.stamp())
		c.recovered = recovered
		return in.add(ctx, c, len(claim.Token), &claimEnd{claim: claim, keep: true, job: c})
	}
	prov.OwnerUID = claim.Content.OwnerUID
	if claim.Content.Bytes > maxFile {
		data := claim.Content.Data
		c := in.parse(data, &oversize{size: claim.Content.Bytes, sha256: schemas.Digest(data)}, prov, in.rules.ParseLimits())
		c.recovered = recovered
		return in.add(ctx, c, len(data), &claimEnd{claim: claim, keep: true, job: c})
	}
	var trial *workspace.Trial
	if recovered {
		var err error
		if trial, err = in.claimer.Trial(claim); errors.Is(err, workspace.ErrGone) {
			return nil // as in leftovers
		} else if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, trial.End()) }()
	}
	if claim.Lines {
		f, err := in.claimer.Open(claim)
		if recovered && errors.Is(err, fs.ErrNotExist) {
			return nil // as in leftovers
		}
		if err != nil {
			return err
		}
		defer f.Close()
		return in.takeLines(ctx, claim, f, prov, trial)
	}
	lim := in.rules.ParseLimits()
	raw, rest, err := in.whole(claim)
	if recovered && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if trial != nil && rest == nil {
		aside, err := in.try(ctx, trial, 1, raw, prov)
		if err != nil {
			return err
		}
		if aside != nil {
			return in.add(ctx, aside, len(raw), &claimEnd{claim: claim})
		}
	}
	c := in.parse(raw, rest, prov, lim)
	c.recovered = recovered
	if err := in.sign(claim, c, raw); err != nil {
		return err
	}
	return in.add(ctx, c, len(raw), &claimEnd{claim: claim, keep: c.intake.Raw != nil && c.intake.Raw.Base64 == "", job: c})
}

// whole returns the bytes of a claim, or measures it where it is too long to be one proposal.
func (in *intake) whole(claim workspace.Claim) ([]byte, *oversize, error) {
	if !claim.Content.Partial {
		return claim.Content.Data, nil, nil
	}
	f, err := in.claimer.Open(claim)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	return readBounded(f, in.rules.ParseLimits().Bytes)
}

// takeLines takes a file of JSON lines. Of one that a dead process has left, the lines that are in the ledger are skipped, and those
// that it may have died of are tried one by one.
func (in *intake) takeLines(ctx context.Context, claim workspace.Claim, f io.Reader, prov job.Provenance, trial *workspace.Trial) error {
	lim := in.rules.ParseLimits()
	skip, tries := 0, 0
	if trial != nil {
		var err error
		if skip, err = in.p.lastLine(ctx, prov.Token); err != nil {
			return err
		}
	}
	br := bufio.NewReaderSize(f, 64<<10)
	end := &claimEnd{claim: claim}
	batch := in.batch
	for n := 1; ; n++ {
		if ctx.Err() != nil {
			return context.Cause(ctx) // who comes next goes on behind the lines that are in the ledger
		}
		raw, rest, err := readLine(br, lim.Bytes)
		if err != nil && err != io.EOF {
			return fmt.Errorf("%s: line %d: %w", claim.Token, n, err)
		}
		last := err == io.EOF
		blank := len(bytes.TrimSpace(raw)) == 0
		if rest != nil && !blank && !end.keep {
			// The line is in no document, so the file stays as a whole. A process that put the line into the ledger may have died before that.
			end.keep, end.job = true, &candidate{intake: job.Intake{JobID: generatedID(prov.Token, n)}}
		}
		if n > skip && !blank {
			prov.Line = n
			var aside *candidate
			if trial != nil && rest == nil && tries < batchJobs {
				tries++ // a batch has no more, and those of the one before are in the ledger
				if aside, err = in.try(ctx, trial, n, raw, prov); err != nil {
					return err
				}
			}
			c := aside
			if c == nil {
				c = in.parse(raw, rest, prov, lim)
			}
			c.recovered = trial != nil
			if err := in.add(ctx, c, len(raw), nil); err != nil {
				return err
			}
			if n%scanPortion == 0 {
				if err := in.tend(ctx, true); err != nil {
					return err
				}
			}
			if in.batch != batch {
				if err := in.beside(ctx, claim.Source); err != nil {
					return err
				}
				batch = in.batch
			}
		}
		if last {
			in.done = append(in.done, *end)
			return nil
		}
	}
}

// maxFile is the length of a file, in bytes, from which on it is not even measured: a sparse file of a terabyte costs whoever
// drops it nothing. It is kept as it is.
const maxFile = 1 << 30

// parse makes a candidate of raw; rest is what of it was not read because it is too long.
func (in *intake) parse(raw []byte, rest *oversize, prov job.Provenance, lim schemas.Limits) *candidate {
	if rest == nil {
		return newCandidate(raw, prov, in.p.stamp(), lim)
	}
	return tooLarge(prov, in.p.stamp(), rest.sha256, rest.size, fmt.Sprintf("%d bytes are more than the %d that a proposal may have", rest.size, lim.Bytes))
}

// tooLarge is the candidate for what is too long to be read.
func tooLarge(prov job.Provenance, now, sha256 string, size int64, message string) *candidate {
	return &candidate{
		intake:        job.Intake{Schema: job.SchemaIntake, ReceivedAt: now, Provenance: prov, Raw: &job.Raw{SHA256: sha256, Bytes: size}},
		parseErr:      &schemas.ParseError{Code: schemas.CodeTooLarge, Message: message},
		payloadSHA256: sha256,
	}
}

// unreadable is the candidate for something in the inbox that is not a regular file. It is never opened.
func unreadable(claim workspace.Claim, prov job.Provenance, now string) *candidate {
	digest := schemas.Digest(nil)
	return &candidate{
		intake: job.Intake{Schema: job.SchemaIntake, ReceivedAt: now, Provenance: prov,
			Raw: &job.Raw{SHA256: digest}},
		parseErr:      &schemas.ParseError{Code: schemas.CodeEmpty, Message: "a " + claim.FileType + " cannot be read as a proposal"},
		fileType:      claim.FileType,
		payloadSHA256: digest,
	}
}

// finish removes a claimed file whose content is in the ledger, or moves it to its blocked job where it is not.
func (in *intake) finish(end claimEnd) error {
	if !end.keep {
		return in.claimer.Remove(end.claim)
	}
	if end.job.private != nil {
		return in.claimer.Remove(end.claim) // its bytes lie there, readable to the owner only
	}
	return in.claimer.MoveTo(end.claim, in.p.ws.Blocked(end.job.intake.JobID), "raw")
}

// provenance stamps what the intake knows of a claim.
func (p *Pipeline) provenance(c workspace.Claim) job.Provenance {
	return job.Provenance{Zone: zoneOf(c.Source), Source: c.Source, File: clean(c.Name), OwnerUID: -1, Token: claimID(c.Token)}
}

// zoneOf is the zone that proposals of a source come from.
func zoneOf(source string) string {
	if source == SourceOperator {
		return job.ZoneOperator
	}
	return job.ZoneInbox
}

// claimID is the part of a claim's token that is ours: what follows repeats the name of the file, which is the proposer's and may
// be long, or a credential.
func claimID(token string) string {
	id, _, _ := strings.Cut(token, "~")
	return id
}

// clean redacts a name.
func clean(name string) string {
	s, _ := redactText(name)
	return s
}

// SourceOperator is the source of what a person submits.
const SourceOperator = "operator"

func (p *Pipeline) stamp() string { return job.FormatTime(p.now()) }

// sign attaches the detached signature of a claimed proposal, where it has one, and stamps who signed.
func (in *intake) sign(claim workspace.Claim, c *candidate, raw []byte) error {
	sig, err := in.claimer.Signature(claim)
	if err != nil || sig == nil {
		return err
	}
	c.signature = &gates.Signature{Armored: sig, Message: raw}
	if signer, err := in.rules.Gates.Verify(claim.Source, c.signature); err == nil {
		c.intake.Provenance.Signer = signer
	}
	return nil // what is wrong with it is for gate G0 to say
}

// lastLine is the highest line of a claimed file of JSON lines that is in the ledger.
func (p *Pipeline) lastLine(ctx context.Context, token string) (int, error) {
	line := 0
	err := p.view(ctx, func(r *index.Reader) (err error) {
		line, err = r.LastLine(token)
		return err
	})
	return line, err
}
