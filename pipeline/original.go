package pipeline

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/hosts/agent"
	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/runtime/durable"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
	"github.com/sheratan/sheratan/schemas"
)

// The original of an intake in which credentials were found lies in .sheratan/private. It is read by the gates when an operator overrules
// a finding or the job is gated again after that, and by the engine when the job starts. Everything else goes by the redacted one.

// original is an intake as it was received.
type original struct {
	intake   job.Intake
	proposal job.Proposal
	value    any
	doc      []byte
	hidden   []string // what was waived of it
}

// originalError says why the original of a job cannot be had.
type originalError struct {
	id, why string
	err     error
}

func (e *originalError) Error() string {
	return e.id + ": the original of its proposal " + e.why + "; propose it again"
}

func (e *originalError) Unwrap() error { return e.err }

// keepPrivate stores the original of a document that was redacted outside git, readable to its owner only. What is there already belongs
// to another job of this id, or to one that a crash kept out of the ledger: whoever gets the id decides that, with own.
func (p *Pipeline) keepPrivate(c *candidate, own bool) error {
	if c.private == nil {
		return nil
	}
	path := p.ws.PrivateDocument(c.intake.JobID)
	there, err := os.ReadFile(path)
	switch {
	case err == nil && (!own || string(there) == string(c.private)):
		return nil
	case err == nil || errors.Is(err, fs.ErrNotExist):
		err = durable.WriteFile(path, c.private, 0o600)
	}
	if err != nil {
		return fmt.Errorf("%s: private document: %w", c.intake.JobID, err)
	}
	return nil
}

// readOriginal reads the original of a redacted intake.
func (p *Pipeline) readOriginal(stored job.Intake) (*original, error) {
	id := stored.JobID
	doc, err := os.ReadFile(p.ws.PrivateDocument(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &originalError{id, "is gone", err}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: private document: %w", id, err)
	}
	o := &original{doc: doc}
	other := &originalError{id, "is another one", nil}
	if err := json.Unmarshal(doc, &o.intake); err != nil || o.intake.Proposal == nil {
		return nil, other
	}
	if o.value, err = schemas.Parse(o.intake.Proposal, schemas.Limits{}); err != nil {
		return nil, other
	}
	was, err := schemas.Parse(stored.Proposal, schemas.Limits{})
	in := o.intake
	in.Proposal, in.Redacted = stored.Proposal, true
	object, ok := o.value.(map[string]any)
	if err != nil || !ok || !reflect.DeepEqual(in, stored) || !redactedFrom(was, o.value) {
		return nil, other
	}
	o.proposal = looseProposal(object)
	return o, nil
}

// redactedFrom reports whether a value is another one with texts taken out of it.
func redactedFrom(was, now any) bool {
	switch was := was.(type) {
	case string:
		now, ok := now.(string)
		return ok && (was == now || strings.Contains(was, "[redacted "))
	case []any:
		now, ok := now.([]any)
		if !ok || len(was) != len(now) {
			return false
		}
		for i := range was {
			if !redactedFrom(was[i], now[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		now, ok := now.(map[string]any)
		if !ok || len(was) != len(now) {
			return false
		}
		for name, x := range was {
			y, ok := now[name]
			if !ok && !strings.Contains(name, "[redacted ") || ok && !redactedFrom(x, y) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(was, now)
}

// repeatsOriginal reports whether a candidate that reads like a job has the very bytes of it: two proposals that differ in their credentials
// only are one when these are taken out. Without the original of the job nobody knows.
func (p *Pipeline) repeatsOriginal(row indexRow, c *candidate) (bool, error) {
	stored, err := p.stored(row)
	if err != nil || !stored.intake.Redacted {
		return err == nil && !c.storedIntake.Redacted, err
	}
	o, err := p.readOriginal(stored.intake)
	if gone := (*originalError)(nil); errors.As(err, &gone) {
		return false, nil
	}
	return err == nil && string(o.intake.Proposal) == string(c.intake.Proposal), err
}

// salt reads the salt of the waivers of a job, nil where it has none yet.
func (p *Pipeline) salt(id string) ([]byte, error) {
	text, err := os.ReadFile(p.ws.PrivateSalt(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: salt: %w", id, err)
	}
	salt, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(salt) == 0 {
		return nil, &originalError{id, "cannot be compared with what was waived: its salt is damaged", err}
	}
	return salt, nil
}

// waiversOf lists the waivers that a job has for the document that it is now.
func waiversOf(k known, row indexRow) (list []ledger.Waived, err error) {
	err = k.Events(index.EventFilter{Job: row.ID, Event: string(job.FindingWaived)}, func(ev ledger.Event) error {
		var m ledger.Waived
		if err := ev.DecodeMeta(&m); err != nil {
			return err
		}
		if m.Document == row.Intake.SHA256 {
			list = append(list, m)
		}
		return nil
	})
	return list, err
}

// unseal reads the original of a redacted intake for which there are waivers, and makes sure that it is the one that they are for, and that
// what was waived is found in it: what is not found could not be hidden.
func (p *Pipeline) unseal(stored job.Intake, list []ledger.Waived, salt []byte) (*original, *gates.Waivers, error) {
	o, err := p.readOriginal(stored)
	if err != nil {
		return nil, nil, err
	}
	w := &gates.Waivers{Salt: salt}
	if salt == nil {
		return nil, nil, &originalError{stored.JobID, "cannot be compared with what was waived: its salt is gone", nil}
	}
	is := w.DigestOriginal(o.doc)
	for _, m := range list {
		if m.Original != is {
			return nil, nil, &originalError{stored.JobID, "is another one", nil}
		}
		w.Findings = append(w.Findings, m.Finding)
	}
	found := map[string]bool{}
	for _, f := range gates.Findings(o.value) {
		if w.Hold(f.Code, f.Pointer, f.Value) {
			found[w.Digest(f.Code, f.Pointer, f.Value)] = true
			o.hidden = append(o.hidden, f.Value)
		}
	}
	for _, digest := range w.Findings {
		if !found[digest] {
			return nil, nil, &originalError{stored.JobID, "does not have what was waived, by the patterns of today", nil}
		}
	}
	return o, w, nil
}

// gateable makes a candidate of a job in the ledger, as the gates are to see it: the original where an operator has overruled a finding, else
// what is stored. Where the original cannot be had, the gates refuse what is stored.
func (p *Pipeline) gateable(k known, row indexRow) (*candidate, error) {
	c, err := p.stored(row)
	if err != nil || !c.intake.Redacted {
		return c, err
	}
	list, err := waiversOf(k, row)
	if err != nil || len(list) == 0 {
		return c, err
	}
	salt, err := p.salt(row.ID)
	var o *original
	var w *gates.Waivers
	if err == nil {
		o, w, err = p.unseal(c.intake, list, salt)
	}
	if gone := (*originalError)(nil); errors.As(err, &gone) {
		p.tellOnce([]string{err.Error()})
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	return o.candidate(row, w), nil
}

// candidate is the original on its way through the gates.
func (o *original) candidate(row indexRow, w *gates.Waivers) *candidate {
	return &candidate{intake: o.intake, proposal: o.proposal, value: o.value, payloadSHA256: row.PayloadSHA256, waivers: w}
}

// codeOriginal is the error code of a job whose original is not there any more, or is not what the operator has seen. Nothing of it ran.
const codeOriginal = "ORIGINAL_GONE"

// executable is the job of an attempt as it is to be executed: where findings were waived, with the params as they were received.
func (p *Pipeline) executable(a *attempt) (job.Job, error) {
	j := a.job
	if len(a.waivers) == 0 {
		return j, nil
	}
	salt, err := p.salt(j.ID)
	if err != nil {
		return j, err
	}
	o, _, err := p.unseal(a.intake, a.waivers, salt)
	if err != nil {
		return j, err
	}
	j.Hidden = o.hidden
	if j.Payload.Kind != kind.NameLLM { // no model is told what was waived
		j.Payload = o.proposal.Payload
	}
	return j, nil
}

// notExecutable is the result of an attempt that did not begin because its job is not executable.
func (p *Pipeline) notExecutable(a *attempt, err error) job.Result {
	now := job.FormatTime(p.now())
	res := job.Result{Schema: job.SchemaResult, JobID: a.row.ID, Attempt: a.number, Host: LocalHost, Sandbox: string(sandbox.LevelNone),
		Status: job.StatusFailed, ExitCode: -1, Error: err.Error(), ErrorCode: codeOriginal, StartedAt: now, CompletedAt: now}
	if gone := (*originalError)(nil); !errors.As(err, &gone) {
		res.ErrorCode, res.Retryable, res.NotStarted = agent.CodeHost, true, true
	}
	return res
}
