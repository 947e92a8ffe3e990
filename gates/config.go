package gates

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/sheratan/sheratan/gates/policy"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/schemas"
)

// Config is the part of config/sheratan.json that the gates go by. Its JSON names are those of the file. In every limit
// 0 is unlimited.
type Config struct {
	Sources Sources `json:"sources"`
	Limits  Limits  `json:"limits"`
	Gates   Section `json:"gates"`
}

// Sources maps the name of a source to what it may do. "*" is the entry of all sources that have none of their own;
// where it is missing, they are unknown and refused.
type Sources map[string]Source

// Source is what one source may do.
type Source struct {
	MaxJobsPerMinute  int      `json:"max_jobs_per_minute"`
	MaxConcurrentJobs int      `json:"max_concurrent_jobs"`
	MaxRetriesPerHour int      `json:"max_retries_per_hour"`
	MaxPriority       string   `json:"max_priority"`      // critical, high, normal or low
	Signers           []string `json:"signers,omitempty"` // authorized_keys lines; where there is one, proposals must be signed
	Sandbox           string   `json:"sandbox,omitempty"` // the level below which none of its programs starts, where that is above the one for all
}

// DefaultSource is an entry that says nothing.
func DefaultSource() Source {
	return Source{MaxJobsPerMinute: 10, MaxConcurrentJobs: 5, MaxPriority: "high"}
}

// UnmarshalJSON replaces all entries (a map would be merged, and an entry that the file left out would stay), and fills
// what an entry leaves out from DefaultSource: left out is not unlimited.
func (s *Sources) UnmarshalJSON(b []byte) error {
	var entries map[string]json.RawMessage
	if err := json.Unmarshal(b, &entries); err != nil {
		return fmt.Errorf("/sources: %w", err)
	}
	*s = make(Sources, len(entries))
	for name, entry := range entries {
		src := DefaultSource()
		dec := json.NewDecoder(bytes.NewReader(entry))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&src); err != nil {
			return fmt.Errorf("/sources/%s: %w", schemas.EscapeToken(name), err)
		}
		(*s)[name] = src
	}
	return nil
}

// Limits bound what one proposal may ask for.
type Limits struct {
	TimeoutSeconds  int `json:"timeout_seconds"`
	MaxRetries      int `json:"max_retries"`
	RetryWait       int `json:"retry_wait_seconds"` // the longest between two attempts
	KeySeconds      int `json:"key_seconds"`        // that a key is held after its job has ended
	InFlight        int `json:"in_flight"`          // jobs of all sources that are dispatched or running
	PayloadBytes    int `json:"payload_bytes"`      // of the canonical payload
	OutputBytes     int `json:"output_bytes"`       // kept of each stream, and the most that max_bytes may ask for
	QueueDepth      int `json:"queue_depth"`        // per source; a full queue defers and is not the gates' concern
	DependsOn       int `json:"depends_on"`         // dependencies of one job
	DependencyBytes int `json:"dependency_bytes"`   // of what its dependencies left that one job is given
	Artifacts       int `json:"artifacts"`          // files kept of the outputs of one job
	ArtifactBytes   int `json:"artifact_bytes"`     // and their size in all
	Depth           int `json:"depth"`              // generations of follow-ups, 0 for what a person or agent proposed
	Children        int `json:"children"`           // follow-ups of one job
}

// Section is the object "gates".
type Section struct {
	Kinds       KindLists               `json:"kinds"`
	Roots       []string                `json:"roots"`
	Exec        []ExecRule              `json:"exec"`
	Env         []string                `json:"env"`    // names that a proposal may set; a trailing * stands for any rest
	Levels      map[string]job.Level    `json:"levels"` // by reason code, or POLICY/RULE
	Markers     []string                `json:"markers"`
	Models      []string                `json:"models"` // that jobs of the kind llm may ask
	CrossSource []CrossSourceDependency `json:"cross_source_dependencies"`
}

// KindLists says which kinds run by themselves, which only with an operator's word, and which never. A kind in none of
// them is refused; in several, the strictest holds.
type KindLists struct {
	Allow  []string `json:"allow"`
	Manual []string `json:"manual"`
	Forbid []string `json:"forbid"`
}

// Decision returns allow, manual or forbid: of several lists with a kind the strictest, and of none forbid.
func (l *KindLists) Decision(kind string) string {
	switch {
	case slices.Contains(l.Forbid, kind):
		return "forbid"
	case slices.Contains(l.Manual, kind):
		return "manual"
	case slices.Contains(l.Allow, kind):
		return "allow"
	}
	return "forbid"
}

// CrossSourceDependency lets jobs of the source From depend on jobs of the source To; "*" is any source.
type CrossSourceDependency struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Decision is what an exec rule says of the command lines that it matches.
type Decision string

// The decisions, in rising order of strictness. NoRule is what Rules.Exec says where none matches; it is refused.
const (
	DecisionAllow  Decision = "allow"
	DecisionAsk    Decision = "ask"
	DecisionForbid Decision = "forbid"
	NoRule         Decision = "none"
)

// ExecRule says what becomes of some command lines of one program. Args has one regular expression (RE2, anchored at
// both ends) for each argument; "..." as the last stands for any rest, also none, and "(EXPR)..." for a rest in which
// every argument matches EXPR.
type ExecRule struct {
	Program   string     `json:"program"` // a name, looked up in fixed folders, or an absolute path; with InRoot also a path relative to the first root
	Args      []string   `json:"args"`
	Decision  Decision   `json:"decision"`
	Rerun     string     `json:"rerun,omitempty"`       // "safe" where running it twice does no harm; else ""
	Retries   *int       `json:"max_retries,omitempty"` // of a job that does not say it itself; nil is three where Rerun is safe, else none
	Unsafe    bool       `json:"unsafe,omitempty"`      // permits arguments by which the program can run others
	InRoot    bool       `json:"in_root,omitempty"`     // the program is a file in a root, which jobs may change
	Write     bool       `json:"write,omitempty"`       // the roots may be changed; else they are read-only in the sandbox
	Unprotect []string   `json:"unprotect,omitempty"`   // names of settings in the roots that may be changed with them
	Network   bool       `json:"network,omitempty"`     // Internet sockets, where the config lets rules ask for them
	Match     [][]string `json:"match,omitempty"`       // examples, checked when the rule is loaded
	NoMatch   [][]string `json:"no_match,omitempty"`
}

// Same reports whether another rule says the same, whatever its examples are.
func (x ExecRule) Same(other ExecRule) bool {
	return x.Program == other.Program && slices.Equal(x.Args, other.Args) && x.Decision == other.Decision &&
		x.Rerun == other.Rerun && sameNumber(x.Retries, other.Retries) && x.Unsafe == other.Unsafe && x.InRoot == other.InRoot &&
		x.Write == other.Write && slices.Equal(x.Unprotect, other.Unprotect) && x.Network == other.Network
}

func sameNumber(a, b *int) bool { return a == b || a != nil && b != nil && *a == *b }

// DefaultConfig returns what holds where the file says nothing. There are no exec rules in it: which programs are
// harmless depends on the machine, so init writes them.
func DefaultConfig() Config {
	operator := Source{MaxPriority: "critical"}
	return Config{
		Sources: Sources{"*": DefaultSource(), "operator": operator},
		Limits: Limits{
			TimeoutSeconds:  3600,
			MaxRetries:      10,
			RetryWait:       600,
			KeySeconds:      30 * 24 * 3600,
			PayloadBytes:    256 << 10,
			OutputBytes:     1 << 20,
			QueueDepth:      100_000,
			DependsOn:       1024,
			DependencyBytes: 64 << 20,
			Artifacts:       100,
			ArtifactBytes:   64 << 20,
			Depth:           3,
			Children:        32,
		},
		Gates: Section{
			Kinds: KindLists{
				Allow:  []string{"noop", "exec", "file_read", "file_list"},
				Manual: []string{"file_write", "file_edit", "file_patch"},
				Forbid: []string{},
			},
			Roots:       []string{"work"},
			Exec:        []ExecRule{},
			Env:         []string{"CI", "LANG", "LC_*", "NO_COLOR", "TERM", "TZ"},
			Levels:      map[string]job.Level{},
			Markers:     policy.DefaultMarkers(),
			Models:      []string{},
			CrossSource: []CrossSourceDependency{{From: "operator", To: "*"}},
		},
	}
}
