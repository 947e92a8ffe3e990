package pipeline

import (
	"fmt"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/index"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// codeBudget is the error code of jobs that were cancelled because the budget of their mission is used up.
const codeBudget = "BUDGET_EXHAUSTED"

// spent says why a job must not begin, "" where it may: its mission was cancelled, or its budget is used up.
func spent(m index.Mission, attempt int) (code, reason string) {
	switch stop := m.Stopped(); {
	case stop == index.StopNone || stop == index.StopNew && attempt > 0:
		return "", ""
	case m.Cancelled:
		return "", fmt.Sprintf("Mission %s was cancelled", m.ID)
	case m.Budget.Time > 0 && m.Used.Time >= m.Budget.Time:
		return codeBudget, fmt.Sprintf("Budget of mission %s exhausted: %.1f of %.0f seconds", m.ID, m.Used.Time.Seconds(), m.Budget.Time.Seconds())
	}
	return codeBudget, fmt.Sprintf("Budget of mission %s exhausted: %d of %d jobs", m.ID, m.Used.Jobs, m.Budget.Jobs)
}

// overBudget says why a job of a mission must not be given to a host, "" where it may. The sweep ends it.
func (b *batch) overBudget(row indexRow) (string, error) {
	if row.MemberOf == "" {
		return "", nil
	}
	m, _, err := b.tx.Mission(row.MemberOf)
	_, reason := spent(m, row.Attempt)
	return reason, err
}

// stopMissions cancels the jobs that wait in missions which let none begin any more, and returns their ids.
func (b *batch) stopMissions() ([]string, error) {
	rows, err := b.tx.StoppedJobs(batchJobs)
	if err != nil {
		return nil, err
	}
	var ended []string
	for _, row := range rows {
		m, _, err := b.tx.Mission(row.MemberOf)
		if err != nil {
			return nil, err
		}
		code, reason := spent(m, row.Attempt)
		b.jobEvent("dispatch", job.JobCancelled, row.ID, row.TraceID, "outbox", ledger.Cancelled{Code: code, Reason: reason}, nil)
		joined, err := b.endAllJoined(row.ID)
		if err != nil {
			return nil, err
		}
		ended = append(append(ended, row.ID), joined...)
		b.skipped++
	}
	return ended, b.failed
}

// missionRetries says that the mission of a job has used up its retries.
func (b *batch) missionRetries(row indexRow) (string, error) {
	if row.MemberOf == "" {
		return "", nil
	}
	m, _, err := b.tx.Mission(row.MemberOf)
	if err != nil || m.Budget.Retries == 0 || m.Used.Retries < m.Budget.Retries {
		return "", err
	}
	return fmt.Sprintf("Budget of mission %s exhausted: %d of %d retries", m.ID, m.Used.Retries, m.Budget.Retries), nil
}
