// Package gates decides what becomes of a proposal: the five gates G0 to G4, each a total function from a proposal, where
// it came from and what is known of other jobs, to a report. Nothing here has an effect, reads a clock or remembers. The
// only thing outside of its arguments that an answer depends on is the file system under the roots, which paths are
// checked against, and changes of files tried against.
//
// What cannot be decided is refused: a document that cannot be read, a kind nobody knows, a rule that breaks, and a gate
// that panics.
package gates

import (
	"context"
	"fmt"
	"sync"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/schemas"
)

// FileType is what was found where a proposal was expected.
type FileType = string

// The types of file. "" is Regular too: a line of a stream, or a proposal of the API.
const (
	Regular   FileType = "regular"
	Symlink   FileType = "symlink"
	FIFO      FileType = "fifo"
	Socket    FileType = "socket"
	Device    FileType = "device"
	Directory FileType = "directory"
)

// Input is one proposal, as it was received.
type Input struct {
	Intake    job.Intake
	Value     any                 // the proposal as schemas.Parse returns it; nil where it could not be parsed
	ParseErr  *schemas.ParseError // why it could not be parsed
	FileType  FileType
	Raw       []byte     // what could not be parsed, to be looked through for credentials; without it, messages quote nothing
	Signature *Signature // where there is one and Intake.Provenance.Signer does not name the signer already
	Waivers   *Waivers   // what an operator has overruled of this job; nil is nothing
	Facts     Facts
}

// Facts are what the gates have to know about other jobs and hosts. Plain data, so that two of them can be compared.
type Facts struct {
	SameID       *Known     // another proposal with the id; nil when this very job is gated again
	Reserved     string     // the mission that has this id for one of its tasks, where the proposal is not that task; else ""
	SameKey      *Known     // the job of the same source that holds the idempotency key, if it is another
	Depends      []Known    // the dependencies that were looked up
	Cycle        []string   // ids in the order of waiting, where the dependencies lead back to this job
	Siblings     int        // other jobs with the same parent
	MissionJobs  int        // other jobs of the same mission
	MissionLimit int        // how many jobs the mission may have; 0 is unlimited
	Hosts        [][]string // the capabilities of each known host
}

// Known is what is known of another job.
type Known struct {
	ID            string
	Source        string
	Status        job.Status
	PayloadSHA256 string
	Exists        bool // false for a dependency that nobody has proposed yet
}

// gateFuncs are the gates in order.
var gateFuncs = [...]struct {
	id  string
	run func(*evaluation, *verdict)
}{
	{"G0", (*evaluation).barrier},
	{"G1", (*evaluation).payloadForm},
	{"G2", (*evaluation).resources},
	{"G3", (*evaluation).capability},
	{"G4", (*evaluation).policies},
}

// Evaluate asks all five gates about a proposal. It never panics, and always reports all of them. ctx is passed on to
// policies, but an answer is not cut short by its cancelling.
func (r *Rules) Evaluate(ctx context.Context, in Input) job.Report {
	e := newEvaluation(ctx, r, in)
	defer e.release()
	report := job.Report{
		Schema:      job.SchemaReport,
		JobID:       in.Intake.JobID,
		RulesSHA256: r.digest,
		Verdict:     job.Pass,
		NextAction:  job.Allow,
		Gates:       make([]job.GateReport, 0, len(gateFuncs)),
	}
	for _, g := range gateFuncs {
		one := e.ask(g.id, g.run)
		report.Verdict = report.Verdict.Stricter(one.Status)
		report.NextAction = report.NextAction.Stricter(one.NextAction)
		report.Gates = append(report.Gates, one)
	}
	if e.secrets {
		redactReport(&report, in.ParseErr)
	}
	return report
}

// ask runs one gate. A panic in it is a refusal.
func (e *evaluation) ask(id string, run func(*evaluation, *verdict)) (report job.GateReport) {
	defer func() {
		if p := recover(); p != nil {
			e.secrets = true // the text of a panic may repeat anything
			v := newVerdict(id, e.rules.levels)
			v.add(CodeGateError, "", "gate %s failed: %s", id, clip(fmt.Sprint(p), 200))
			report = v.report()
		}
	}()
	v := newVerdict(id, e.rules.levels)
	run(e, v)
	return v.report()
}

// evaluation is one proposal on its way through the gates.
type evaluation struct {
	ctx      context.Context
	rules    *Rules
	in       Input
	readable bool           // there is a document
	object   map[string]any // the proposal, where it is an object
	payload  map[string]any
	params   map[string]any
	kindName string
	kind     *kindRule // nil where the kind is unknown
	source   *sourceRule
	walk     walk
	walked   bool
	filled   *filled
	parsed   *parsed
	size     int  // of the canonical payload, where it had to be measured
	secrets  bool // there is a credential, or may be: nothing of the proposal may be repeated in the report as it is
}

// pool keeps the buffers of evaluations.
var pool = sync.Pool{New: func() any { return new(evaluation) }}

// largestKept is the largest buffer that is kept for the next evaluation, in bytes.
const largestKept = 64 << 10

func newEvaluation(ctx context.Context, r *Rules, in Input) *evaluation {
	e := pool.Get().(*evaluation)
	normal, path := e.walk.normal[:0], e.walk.path[:0]
	if ctx == nil {
		ctx = context.Background()
	}
	*e = evaluation{ctx: ctx, rules: r, in: in}
	e.walk.normal, e.walk.path = normal, path
	e.readable = in.ParseErr == nil && isRegular(in.FileType) && in.Intake.Raw == nil
	if e.readable {
		e.object, _ = in.Value.(map[string]any)
	}
	e.payload, _ = e.object["payload"].(map[string]any)
	e.params, _ = e.payload["params"].(map[string]any)
	e.kindName, _ = e.payload["kind"].(string)
	e.kind = r.kinds[e.kindName]
	e.source = r.sourceOf(in.Intake.Provenance.Source)
	if e.kind != nil {
		e.walk.paths, e.walk.own = e.kind.pathMembers, e.kind.Own()
	}
	return e
}

func (e *evaluation) release() {
	if cap(e.walk.normal) > largestKept {
		e.walk.normal = nil
	}
	normal, path := e.walk.normal, e.walk.path
	*e = evaluation{}
	e.walk.normal, e.walk.path = normal, path
	pool.Put(e)
}

// look walks over the proposal, once for all gates.
func (e *evaluation) look() *walk {
	if !e.walked {
		e.walk.document(e.in.Value)
		e.walked = true
	}
	return &e.walk
}

// notExamined reports that there is nothing to look at, and that this is reason enough to refuse.
func (e *evaluation) notExamined(v *verdict) bool {
	if e.readable {
		return false
	}
	v.add(CodeNotExamined, "", "there is no document to look at")
	return true
}

func isRegular(t FileType) bool { return t == "" || t == Regular }
