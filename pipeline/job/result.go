package job

// Output is what a job wrote to one stream.
type Output struct {
	Text      string `json:"text"`   // the beginning, as UTF-8, credentials redacted
	Bytes     int64  `json:"bytes"`  // written by the job in all
	SHA256    string `json:"sha256"` // of the file at Path
	Path      string `json:"path"`   // of the kept bytes, relative to the workspace; "" where nothing was written
	Truncated bool   `json:"truncated"`

	Kept int64 `json:"-"` // bytes in the file; known where the attempt ended, and not in documents
}

// Result is the outcome of one attempt, and of the job where it was the last.
type Result struct {
	Schema         string     `json:"$schema"`
	JobID          string     `json:"job_id"`
	Status         Status     `json:"status"`
	Attempt        int        `json:"attempt"` // from 1
	ExitCode       int        `json:"exit_code"`
	Signal         string     `json:"signal"` // "" where none ended it
	Host           string     `json:"host"`
	Sandbox        string     `json:"sandbox"` // full, restricted or none
	StartedAt      string     `json:"started_at"`
	CompletedAt    string     `json:"completed_at"`
	DurationMS     int64      `json:"duration_ms"`
	CPUMS          int64      `json:"cpu_ms"`
	MaxRSSBytes    int64      `json:"max_rss_bytes"`            // 0 is unknown, below the size of the process that ran it
	Survivors      int        `json:"survivors,omitempty"`      // processes that it left when it ended, and that were ended then
	SurvivorNames  []string   `json:"survivor_names,omitempty"` // of the first few; not known at the level none
	Killed         []string   `json:"killed,omitempty"`         // names of the first few that were there when it was ended from outside
	Leaked         int        `json:"leaked,omitempty"`         // processes that could not be ended
	Stdout         Output     `json:"stdout"`
	Stderr         Output     `json:"stderr"`
	Artifacts      []Artifact `json:"artifacts,omitempty"`
	Error          string     `json:"error"`                // "" where it succeeded
	ErrorCode      string     `json:"error_code,omitempty"` // EXIT, SIGNAL, TIMEOUT, REFUSED, …
	Retryable      bool       `json:"retryable"`            // whether repeating the attempt could succeed
	Programs       []string   `json:"programs,omitempty"`   // "PATH SHA256" of what was executed
	DeduplicatedOf string     `json:"deduplicated_of,omitempty"`

	NotStarted bool `json:"-"` // the machine could not start the attempt, and nothing of it ran: it is no attempt
}
