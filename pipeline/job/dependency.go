package job

// OnFailure names what becomes of a job when one that it depends on fails, is cancelled or is skipped.
type OnFailure string

// The choices. OnFailureFail is the default.
const (
	OnFailureFail OnFailure = "fail" // the job fails too
	OnFailureSkip OnFailure = "skip" // the job is cancelled: it was not needed
	OnFailureWait OnFailure = "wait" // the job waits until the dependency is retried or revised, and completes
)

// OrDefault returns f, or OnFailureFail where f is none of the choices.
func (f OnFailure) OrDefault() OnFailure {
	if f == OnFailureSkip || f == OnFailureWait {
		return f
	}
	return OnFailureFail
}
