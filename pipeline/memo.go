package pipeline

import (
	"github.com/sheratan/sheratan/pipeline/job"
)

// memo keeps the parsed documents of jobs that this process admitted or read a moment ago and has not seen the end of,
// so that a job on its way through one process is parsed once. An entry is only good for the digest that the index names.
type memo struct {
	jobs map[string]*remembered
}

type remembered struct {
	intakeSHA256 string
	intake       job.Intake
	proposal     job.Proposal
	reportSHA256 string
	report       job.Report
	resultSHA256 string
	result       job.Result
	resultDoc    []byte
}

// maxRemembered bounds a memo; an entry takes a few kilobytes.
const maxRemembered = 4096

func (m *memo) get(id string) *remembered {
	if r := m.jobs[id]; r != nil {
		return r
	}
	return &remembered{}
}

func (m *memo) entry(id string) *remembered {
	r := m.jobs[id]
	if r == nil {
		if m.jobs == nil || len(m.jobs) >= maxRemembered {
			m.jobs = map[string]*remembered{}
		}
		r = &remembered{}
		m.jobs[id] = r
	}
	return r
}

func (m *memo) keepIntake(id, sha256 string, in job.Intake, p job.Proposal) {
	r := m.entry(id)
	r.intakeSHA256, r.intake, r.proposal = sha256, in, p
}

func (m *memo) keepReport(id, sha256 string, rep job.Report) {
	r := m.entry(id)
	r.reportSHA256, r.report = sha256, rep
}

func (m *memo) keepResult(id, sha256 string, res job.Result, doc []byte) {
	r := m.entry(id)
	r.resultSHA256, r.result, r.resultDoc = sha256, res, doc
}

func (m *memo) drop(id string) { delete(m.jobs, id) }
