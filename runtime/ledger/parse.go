package ledger

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/schemas"
)

const notCanonical = "is not in the form in which it would be written"

// ParseLine reads a line without its newline. It returns a *LineError for every line that AppendLine would not print
// byte for byte: another order of members, another escape, a space, a member more or less. So there is one line for an
// event, and one digest.
//
// It goes over the bytes once and takes nothing that could have been printed in another way. To print the event again and compare
// costs twice as much, and that is what the tests do.
func ParseLine(line []byte) (Event, error) {
	if len(line) > MaxLine {
		return Event{}, &LineError{"", strconv.Itoa(len(line)) + " bytes are more than " + strconv.Itoa(MaxLine)}
	}
	// One copy for all texts: the event must not change when the caller reuses the buffer.
	p := parser{line: line, own: string(line)}
	e := Event{
		Actor:          p.text(`{"actor":"`),
		ArtifactPath:   p.text(`,"artifact_path":"`),
		ArtifactSHA256: p.text(`,"artifact_sha256":"`),
		Event:          job.EventName(p.text(`,"event":"`)),
		ID:             p.text(`,"id":"`),
		JobID:          p.text(`,"job_id":"`),
		Meta:           p.object(`,"meta":`),
		Prev:           p.text(`,"prev":"`),
		Seq:            p.number(`,"seq":`),
		Timestamp:      p.text(`,"timestamp":"`),
		TraceID:        p.text(`,"trace_id":"`),
		V:              int(p.number(`,"v":`)),
		Zone:           p.text(`,"zone":"`),
	}
	p.literal(`}`)
	if p.err == nil && p.at < len(line) {
		p.err = &LineError{"", "has bytes after its end"}
	}
	if p.err == nil {
		p.err = e.checkMembers()
	}
	if p.err != nil {
		return Event{}, p.err
	}
	return e, nil
}

// parser goes over the members of a line; the first error stays.
type parser struct {
	line []byte
	own  string // the same, and nobody else's
	at   int
	err  error
}

func (p *parser) literal(s string) {
	if p.err != nil {
		return
	}
	end := p.at + len(s)
	if end > len(p.line) || string(p.line[p.at:end]) != s {
		p.err = &LineError{"", strconv.Quote(s) + " expected"}
		return
	}
	p.at = end
}

// fail says what is wrong with the member that begins with prefix.
func (p *parser) fail(prefix, message string) {
	p.err = &LineError{strings.Trim(prefix, `{,":`), message}
}

// text reads a string, of which prefix has the first quote.
func (p *parser) text(prefix string) string {
	p.literal(prefix)
	if p.err != nil {
		return ""
	}
	start := p.at
	end := start + schemas.PlainBytes(p.line[start:])
	if end < len(p.line) && p.line[end] == '"' {
		p.at = end + 1
		return p.own[start:end]
	}
	length, ok := schemas.CanonicalEnd(p.line[start-1:], 0)
	if !ok {
		p.fail(prefix, notCanonical)
		return ""
	}
	p.at = start - 1 + length
	plain, err := jsontext.AppendUnquote(nil, p.line[start-1:p.at])
	if err != nil {
		p.fail(prefix, err.Error())
	}
	return string(plain)
}

func (p *parser) number(prefix string) int64 {
	p.literal(prefix)
	if p.err != nil {
		return 0
	}
	start := p.at
	for p.at < len(p.line) && p.line[p.at] >= '0' && p.line[p.at] <= '9' {
		p.at++
	}
	digits := p.own[start:p.at]
	v, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		p.fail(prefix, "not a number")
	} else if digits[0] == '0' && len(digits) > 1 {
		p.fail(prefix, notCanonical)
	}
	return v
}

func (p *parser) object(prefix string) json.RawMessage {
	p.literal(prefix)
	if p.err != nil {
		return nil
	}
	start := p.at
	length, ok := schemas.CanonicalEnd(p.line[start:], maxDepth)
	if !ok || p.line[start] != '{' {
		p.fail(prefix, "not an object, or "+notCanonical)
		return nil
	}
	p.at = start + length
	return json.RawMessage(p.own[start:p.at])
}
