package ledger

import "github.com/sheratan/sheratan/pipeline/job"

// allEvents lists every event there is.
func allEvents() []job.EventName {
	var all []job.EventName
	for _, t := range job.Transitions {
		all = append(all, t.Event)
	}
	return append(all, job.WorkspaceEvents...)
}
