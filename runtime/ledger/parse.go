package ledger

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sheratan/sheratan/pipeline/job"
)

// ParseLine reads a line without its newline. It returns a *LineError for every line that AppendLine would not print
// byte for byte: another order of members, another escape, a space, a member more or less. So there is one line for an
// event, and one digest.
func ParseLine(line []byte) (Event, error) {
	if len(line) > MaxLine {
		return Event{}, &LineError{"", strconv.Itoa(len(line)) + " bytes are more than " + strconv.Itoa(MaxLine)}
	}
	// One copy for all members: the event must not change when the caller reuses the buffer.
	p := parser{rest: string(line)}
	e := Event{
		Actor:          p.text(`{"actor":`),
		ArtifactPath:   p.text(`,"artifact_path":`),
		ArtifactSHA256: p.text(`,"artifact_sha256":`),
		Event:          job.EventName(p.text(`,"event":`)),
		ID:             p.text(`,"id":`),
		JobID:          p.text(`,"job_id":`),
		Meta:           p.object(`,"meta":`),
		Prev:           p.text(`,"prev":`),
		Seq:            p.number(`,"seq":`),
		Timestamp:      p.text(`,"timestamp":`),
		TraceID:        p.text(`,"trace_id":`),
		V:              int(p.number(`,"v":`)),
		Zone:           p.text(`,"zone":`),
	}
	p.literal(`}`)
	if p.err != nil {
		return Event{}, p.err
	}
	if p.rest != "" {
		return Event{}, &LineError{"", "has bytes after its end"}
	}
	var buf [1024]byte
	again, err := e.AppendLine(buf[:0])
	if err != nil {
		return Event{}, err
	}
	if !bytes.Equal(again, line) {
		return Event{}, &LineError{"", "is not in the form in which it would be written"}
	}
	return e, nil
}

// parser takes the members off the front of a line; the first error stays.
type parser struct {
	rest string
	err  error
}

func (p *parser) literal(s string) {
	if p.err != nil {
		return
	}
	rest, ok := strings.CutPrefix(p.rest, s)
	if !ok {
		p.err = &LineError{"", strconv.Quote(s) + " expected"}
		return
	}
	p.rest = rest
}

func (p *parser) text(prefix string) string {
	p.literal(prefix)
	p.literal(`"`)
	if p.err != nil {
		return ""
	}
	for i := 0; i < len(p.rest); i++ {
		switch p.rest[i] {
		case '"':
			s := p.rest[:i]
			p.rest = p.rest[i+1:]
			if strings.IndexByte(s, '\\') < 0 {
				return s
			}
			b, err := jsontext.AppendUnquote(nil, `"`+s+`"`)
			if err != nil {
				p.err = &LineError{strings.Trim(prefix, `{,":`), err.Error()}
			}
			return string(b)
		case '\\':
			i++
		}
	}
	p.err = &LineError{strings.Trim(prefix, `{,":`), "unfinished string"}
	return ""
}

func (p *parser) number(prefix string) int64 {
	p.literal(prefix)
	if p.err != nil {
		return 0
	}
	n := 0
	for n < len(p.rest) && p.rest[n] >= '0' && p.rest[n] <= '9' {
		n++
	}
	v, err := strconv.ParseInt(p.rest[:n], 10, 64)
	if err != nil {
		p.err = &LineError{strings.Trim(prefix, `{,":`), "not a number"}
		return 0
	}
	p.rest = p.rest[n:]
	return v
}

func (p *parser) object(prefix string) json.RawMessage {
	p.literal(prefix)
	if p.err != nil {
		return nil
	}
	b := []byte(p.rest)
	end, err := scanCanonical(b, 0, 0)
	if err != nil {
		p.err = &LineError{"meta", err.Error()}
		return nil
	}
	p.rest = p.rest[end:]
	return b[:end:end]
}
