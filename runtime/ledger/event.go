package ledger

import (
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/schemas"
)

// Version is the value of "v" in every line that this package writes and reads.
const Version = 1

// MaxLine is the length of the longest line, in bytes, without its newline.
const MaxLine = 65535

// maxSeq is the last number that a line may have: a segment is named by nine digits.
const maxSeq = 999_999_999

// Event is one line of the ledger. All thirteen members are always printed; what does not apply is "", and meta is {}.
type Event struct {
	V              int             `json:"v"`
	Seq            int64           `json:"seq"`       // from 0, without gaps: the index of the leaf in the Merkle tree
	ID             string          `json:"id"`        // a UUID; Batch.Add makes one out of what it is given
	Timestamp      string          `json:"timestamp"` // job.TimeFormat
	Actor          string          `json:"actor"`     // who or what decided: a command, a user, a host
	Event          job.EventName   `json:"event"`
	JobID          string          `json:"job_id"`
	TraceID        string          `json:"trace_id"`
	Zone           string          `json:"zone"`            // where the job is after the event
	ArtifactPath   string          `json:"artifact_path"`   // of the document's segment, relative to runtime/
	ArtifactSHA256 string          `json:"artifact_sha256"` // of the document, lower-case hex
	Meta           json.RawMessage `json:"meta"`            // an object in RFC 8785 form; see NewMeta
	Prev           string          `json:"prev"`            // leaf hash of the line before, lower-case hex
}

// LineError says why bytes are not a line of the ledger, or an event cannot be one.
type LineError struct {
	Member  string // the member at fault, "" where it is the line as a whole
	Message string
}

func (e *LineError) Error() string {
	if e.Member == "" {
		return "ledger line: " + e.Message
	}
	return "ledger line: " + e.Member + ": " + e.Message
}

// AppendLine appends the event in RFC 8785 form, without a newline, to dst. It returns a *LineError, and dst as it was,
// where ParseLine would not take the result: a line that is written and cannot be read back would stop the workspace.
func (e *Event) AppendLine(dst []byte) ([]byte, error) {
	if err := e.check(); err != nil {
		return dst, err
	}
	start := len(dst)
	b := appendString(append(dst, `{"actor":`...), e.Actor)
	b = appendString(append(b, `,"artifact_path":`...), e.ArtifactPath)
	b = appendString(append(b, `,"artifact_sha256":`...), e.ArtifactSHA256)
	b = appendString(append(b, `,"event":`...), string(e.Event))
	b = appendString(append(b, `,"id":`...), e.ID)
	b = appendString(append(b, `,"job_id":`...), e.JobID)
	b = append(b, `,"meta":`...)
	if len(e.Meta) == 0 {
		b = append(b, `{}`...)
	} else {
		b = append(b, e.Meta...)
	}
	b = appendString(append(b, `,"prev":`...), e.Prev)
	b = strconv.AppendInt(append(b, `,"seq":`...), e.Seq, 10)
	b = appendString(append(b, `,"timestamp":`...), e.Timestamp)
	b = appendString(append(b, `,"trace_id":`...), e.TraceID)
	b = strconv.AppendInt(append(b, `,"v":`...), int64(e.V), 10)
	b = appendString(append(b, `,"zone":`...), e.Zone)
	b = append(b, '}')
	if n := len(b) - start; n > MaxLine {
		return dst, &LineError{"", fmt.Sprintf("%d bytes are more than %d; what grows belongs in a document", n, MaxLine)}
	}
	return b, nil
}

// appendString appends s as RFC 8785 section 3.2.2.2 prints it; s is valid UTF-8.
func appendString(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			dst, _ = jsontext.AppendQuote(dst, s) // fails for invalid UTF-8 only
			return dst
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// maxDepth bounds the nesting of a meta object; the deepest that is written has two levels.
const maxDepth = 16

// check says what of an event cannot be printed.
func (e *Event) check() error {
	if err := e.checkMembers(); err != nil {
		return err
	}
	for _, m := range [...]struct{ name, value string }{{"id", e.ID}, {"actor", e.Actor}, {"trace_id", e.TraceID},
		{"zone", e.Zone}, {"artifact_path", e.ArtifactPath}} {
		if !utf8.ValidString(m.value) {
			return &LineError{m.name, "not UTF-8"}
		}
	}
	if len(e.Meta) == 0 {
		return nil
	}
	if e.Meta[0] != '{' {
		return &LineError{"meta", "not an object"}
	}
	if end, ok := schemas.CanonicalEnd(e.Meta, maxDepth); !ok {
		return &LineError{"meta", notCanonical}
	} else if end != len(e.Meta) {
		return &LineError{"meta", "has bytes after its end"}
	}
	return nil
}

// checkMembers is the part of the format that both printer and parser go by.
func (e *Event) checkMembers() error {
	switch {
	case e.V != Version:
		return &LineError{"v", fmt.Sprintf("%d is not %d", e.V, Version)}
	case e.Seq < 0 || e.Seq > maxSeq:
		return &LineError{"seq", fmt.Sprintf("%d is not within 0 and %d", e.Seq, int64(maxSeq))}
	case e.ID == "":
		return &LineError{"id", "empty"}
	case e.Actor == "":
		return &LineError{"actor", "empty"}
	case !isTime(e.Timestamp):
		return &LineError{"timestamp", fmt.Sprintf("%q does not look like %s", e.Timestamp, job.TimeFormat)}
	case !isEventName(string(e.Event)):
		return &LineError{"event", fmt.Sprintf("%q is not a name of capital letters and underscores", e.Event)}
	case e.JobID != "" && !job.ValidID(e.JobID):
		return &LineError{"job_id", fmt.Sprintf("%q is not an identifier", e.JobID)}
	case e.ArtifactSHA256 != "" && !isDigest(e.ArtifactSHA256):
		return &LineError{"artifact_sha256", fmt.Sprintf("%q is not a digest in lower-case hex", e.ArtifactSHA256)}
	case !isDigest(e.Prev):
		return &LineError{"prev", fmt.Sprintf("%q is not a digest in lower-case hex", e.Prev)}
	}
	return nil
}

func isDigest(s string) bool {
	if len(s) != 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func isEventName(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < 'A' || c > 'Z') && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// isTime checks the shape only; that there is no 31st of February is for those who read the time.
func isTime(s string) bool {
	const shape = "0000-00-00T00:00:00.000000Z"
	if len(s) != len(shape) {
		return false
	}
	for i := 0; i < len(s); i++ {
		if shape[i] == '0' {
			if s[i] < '0' || s[i] > '9' {
				return false
			}
		} else if s[i] != shape[i] {
			return false
		}
	}
	return true
}
