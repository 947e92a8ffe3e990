package pipeline

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/sheratan/sheratan/gates"
	"github.com/sheratan/sheratan/gates/secrets"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/schemas"
)

// rawKept is how many bytes of a proposal that cannot be parsed are kept in its document. Of a longer one the document has
// the digest, and the bytes lie in queue/blocked/ID/raw, or in .sheratan/private where they have a credential or were a line.
const rawKept = 64 << 10

// candidate is one proposal on its way through the gates.
type candidate struct {
	intake    job.Intake
	proposal  job.Proposal
	raw       []byte // what could not be parsed, as far as it was read
	value     any    // the parsed proposal, nil where it could not be parsed
	parseErr  *schemas.ParseError
	fileType  string // "" is a regular file
	signature *gates.Signature
	recovered bool     // from a claim that an earlier process left behind
	broken    error    // why it cannot be processed: it is blocked with PIPELINE_ERROR
	retired   []string // jobs that ended with the one that it revises
	waivers   *gates.Waivers

	payloadSHA256 string
	facts         gates.Facts
	report        job.Report
	private       []byte     // the original of an intake in which credentials were found
	storedIntake  job.Intake // redacted where it has to be
	intakeDoc     []byte
	reportDoc     []byte
}

// tokenNamespace is the namespace of the ids that are made from claim token and line.
var tokenNamespace = uuid.MustParse("6f1c0a52-6f3d-4c77-9f0e-3a1d9c1b7a10")

// generatedID is the id of a proposal that brings none that can be used. The same token and line always give the same, so
// that a repeat after a crash does not make a second job.
func generatedID(token string, line int) string {
	return uuid.NewSHA1(tokenNamespace, fmt.Appendf(nil, "%s:%d", token, line)).String()
}

// newCandidate parses raw, one proposal as it lay in the inbox. It is pure.
func newCandidate(raw []byte, prov job.Provenance, receivedAt string, lim schemas.Limits) *candidate {
	c := &candidate{intake: job.Intake{
		Schema:     job.SchemaIntake,
		ReceivedAt: receivedAt,
		Provenance: prov,
	}}
	value, canonical, err := schemas.ParseCanonical(raw, lim)
	if err != nil {
		if !errors.As(err, &c.parseErr) {
			c.parseErr = &schemas.ParseError{Code: "SYNTAX", Message: err.Error()}
		}
		c.setRaw(raw)
		return c
	}
	c.value = value
	c.intake.Proposal = canonical
	if obj, ok := value.(map[string]any); ok {
		c.proposal = looseProposal(obj)
		if obj["payload"] != nil {
			if b, err := schemas.Marshal(obj["payload"]); err == nil {
				c.payloadSHA256 = schemas.Digest(b)
			}
		}
	}
	if c.payloadSHA256 == "" {
		c.payloadSHA256 = schemas.Digest(canonical)
	}
	return c
}

func (c *candidate) setRaw(raw []byte) {
	c.raw = raw
	c.payloadSHA256 = schemas.Digest(raw)
	c.intake.Raw = &job.Raw{SHA256: c.payloadSHA256, Bytes: int64(len(raw))}
	if len(raw) <= rawKept && len(secrets.FindEncoded(raw)) == 0 {
		c.intake.Raw.Base64 = base64.StdEncoding.EncodeToString(raw)
	}
}

// identify decides the id: the proposer's where it is usable, neither taken by another proposal nor kept for one, and no credential (it becomes
// the name of files, and stands in the ledger), else one made from the token. A proposal that may not have the id that it
// asks for still needs one of its own to be blocked under.
func (c *candidate) identify(taken bool) {
	if taken || !job.ValidID(c.proposal.ID) || len(secrets.Find([]byte(c.proposal.ID))) > 0 {
		c.intake.JobID = generatedID(c.intake.Provenance.Token, c.intake.Provenance.Line)
	} else {
		c.intake.JobID = c.proposal.ID
	}
}

// judge runs the gates and makes the two documents.
func (c *candidate) judge(ctx context.Context, r *rules.Rules, facts gates.Facts) error {
	c.facts = facts
	c.identify(facts.SameID != nil || facts.Reserved != "")
	doc, err := schemas.Marshal(c.intake)
	if err != nil {
		return fmt.Errorf("%s: intake: %w", c.intake.JobID, err)
	}
	c.intakeDoc, c.private = doc, nil
	c.report = c.evaluate(ctx, r)
	c.storedIntake = c.intake
	credential := gates.HasCredential(c.report)
	switch {
	case c.intake.Proposal != nil && (credential || c.broken != nil):
		if err := c.redact(credential); err != nil {
			return err
		}
	case c.raw != nil && c.intake.Raw.Base64 == "" && (credential || c.broken != nil || c.intake.Provenance.Line > 0):
		// A line has no file of its own to keep. The file of a proposal that is set aside is no safe place: a process that takes up its
		// claim after a death knows nothing of that, and removes the file.
		c.private = c.raw
	}
	c.report.JobID = c.intake.JobID
	c.report.DocumentSHA256 = schemas.Digest(c.intakeDoc)
	if c.reportDoc, err = schemas.Marshal(c.report); err != nil {
		return fmt.Errorf("%s: report: %w", c.intake.JobID, err)
	}
	return nil
}

func (c *candidate) evaluate(ctx context.Context, r *rules.Rules) job.Report {
	if c.broken != nil {
		return brokenReport(r, c.broken)
	}
	return r.Gates.Evaluate(ctx, gates.Input{
		Intake:    c.intake,
		Value:     c.value,
		ParseErr:  c.parseErr,
		Raw:       c.raw,
		FileType:  c.fileType,
		Signature: c.signature,
		Waivers:   c.waivers,
		Facts:     c.facts,
	})
}

// redact replaces the credentials in the intake, and keeps the original for .sheratan/private. What is redacted does not
// run: credentials are a hard reason, and where an operator waives them the original is what runs. found is what the gates said; where they failed it is looked for here.
func (c *candidate) redact(found bool) error {
	redacted, n, err := redactJSON(c.intake.Proposal)
	if err != nil {
		return fmt.Errorf("%s: redacting: %w", c.intake.JobID, err)
	}
	if !found && n == 0 {
		return nil
	}
	c.private = c.intakeDoc
	in := c.intake
	in.Proposal, in.Redacted = redacted, true
	c.storedIntake = in
	// What goes into events and job files is taken from here.
	var obj map[string]any
	if v, err := schemas.Parse(redacted, schemas.Limits{}); err == nil {
		obj, _ = v.(map[string]any)
	}
	c.proposal = looseProposal(obj)
	if c.intakeDoc, err = schemas.Marshal(in); err != nil {
		return fmt.Errorf("%s: redacted intake: %w", c.intake.JobID, err)
	}
	if obj, ok := c.value.(map[string]any); ok && obj["payload"] != nil {
		c.payloadSHA256 = schemas.Digest(redacted)
	}
	return nil
}

// redactJSON redacts every string of a document, names of members included.
func redactJSON(doc []byte) (json.RawMessage, int, error) {
	v, err := schemas.Parse(doc, schemas.DefaultLimits)
	if err != nil {
		return nil, 0, err
	}
	clean, n := secrets.RedactTree(v)
	out, err := schemas.Marshal(clean)
	return out, n, err
}

// looseProposal takes out of a parsed object what has the right type, and leaves out what has not: gate G1 reports that.
func looseProposal(obj map[string]any) job.Proposal {
	p := job.Proposal{
		Schema:         text(obj["$schema"]),
		ID:             text(obj["id"]),
		IdempotencyKey: text(obj["idempotency_key"]),
		Source:         text(obj["source"]),
		RetryBackoff:   job.Backoff(text(obj["retry_backoff"])),
		RetryJitter:    job.Jitter(text(obj["retry_jitter"])),
		RetryOn:        exitCodes(obj["retry_on"]),
		NoRetryOn:      exitCodes(obj["no_retry_on"]),
		ConcurrencyKey: text(obj["concurrency_key"]),
		TaskID:         text(obj["task_id"]),
		MissionID:      text(obj["mission_id"]),
		TimeoutSeconds: whole(obj["timeout_seconds"]),
		MaxRetries:     whole(obj["max_retries"]),
	}
	switch v := obj["priority"].(type) {
	case string:
		if n, err := job.ParsePriority(v); err == nil {
			p.Priority = &n
		}
	case json.Number:
		if n, err := job.ParsePriority(v.String()); err == nil {
			p.Priority = &n
		}
	}
	p.DependsOn = texts(obj["depends_on"])
	p.OnDependencyFailure = job.OnFailure(text(obj["on_dependency_failure"]))
	p.RequiredCapabilities = texts(obj["required_capabilities"])
	p.Outputs = declared(obj["outputs"])
	if payload, ok := obj["payload"].(map[string]any); ok {
		p.Payload.Kind = text(payload["kind"])
		if payload["params"] != nil {
			if b, err := schemas.Marshal(payload["params"]); err == nil {
				p.Payload.Params = b
			}
		}
	}
	return p
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func texts(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, x := range list {
		if s, ok := x.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// declared returns the outputs that a proposal declares.
func declared(v any) []job.Declared {
	list, _ := v.([]any)
	var out []job.Declared
	for _, x := range list {
		switch x := x.(type) {
		case string:
			out = append(out, job.Declared{Path: x})
		case map[string]any:
			optional, _ := x["optional"].(bool)
			onFailure, _ := x["on_failure"].(bool)
			out = append(out, job.Declared{Path: text(x["path"]), Optional: optional, OnFailure: onFailure})
		}
	}
	return out
}

func exitCodes(v any) []int {
	list, _ := v.([]any)
	var out []int
	for _, x := range list {
		if n := whole(x); n != nil {
			out = append(out, *n)
		}
	}
	return out
}

// whole returns a number that fits 32 bits; the schema says which are allowed.
func whole(v any) *int {
	n, ok := v.(json.Number)
	if !ok {
		return nil
	}
	i, err := n.Int64()
	if err != nil || i < 0 || i > 1<<31-1 {
		return nil
	}
	x := int(i)
	return &x
}

// brokenReport blocks a job that the pipeline failed on. What the gates would say does not matter any more.
func brokenReport(r *rules.Rules, err error) job.Report {
	rep := job.Report{Schema: job.SchemaReport, RulesSHA256: r.Digest, Verdict: job.Fail, NextAction: job.Quarantine}
	for _, id := range []string{"G0", "G1", "G2", "G3", "G4"} {
		message, _ := secrets.Redact(err.Error())
		rep.Gates = append(rep.Gates, job.GateReport{GateID: id, Status: job.Fail, Severity: "high", NextAction: job.Quarantine,
			Reasons:  []job.Reason{{Code: gates.CodePipelineError, Message: message, Level: job.Hard}},
			Evidence: map[string]any{}, Suggestions: []job.Patch{}})
	}
	return rep
}
