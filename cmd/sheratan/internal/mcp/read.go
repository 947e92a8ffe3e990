package mcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
)

type jobInput struct {
	JobID string `json:"job_id" jsonschema:"the job_id that propose answered"`
}

// own calls fn with the pipeline if the job is one of this source.
func (s *server) own(ctx context.Context, id string, fn func(*pipeline.Pipeline) error) error {
	return s.with(ctx, func(p *pipeline.Pipeline) error {
		if err := p.Own(ctx, s.cfg.Source, id); err != nil {
			return err
		}
		return fn(p)
	})
}

// story is what why answers: the life of a job without the commands, which are for people.
type story struct {
	JobID    string             `json:"job_id"`
	Status   string             `json:"status"`
	WaitsFor []string           `json:"waits_for"`
	Gates    []job.GateReport   `json:"gates"`
	Opinions []pipeline.Opinion `json:"opinions"`
	Steps    []pipeline.Step    `json:"steps"`
	Attempts []pipeline.Attempt `json:"attempts"`
	LedTo    []pipeline.LedTo   `json:"led_to"`
}

func (s *server) why(ctx context.Context, in jobInput) (out any, err error) {
	err = s.own(ctx, in.JobID, func(p *pipeline.Pipeline) error {
		w, err := p.Why(ctx, in.JobID)
		out = story{w.JobID, w.Status, w.WaitsFor, w.Report.Gates, w.Opinions, w.Steps, w.Attempts, w.LedTo}
		return err
	})
	return out, err
}

type resultInput struct {
	JobID   string `json:"job_id" jsonschema:"the job_id that propose answered"`
	Part    string `json:"part,omitempty" jsonschema:"stdout, stderr, or the name of an artifact; left out, the result document"`
	Offset  int    `json:"offset,omitempty" jsonschema:"with part, the byte to begin at: next_offset of the answer before"`
	Attempt int    `json:"attempt,omitempty" jsonschema:"of which attempt, from 1; left out, of the latest"`
}

// chunk is a piece of a file that a job left, without credentials.
type chunk struct {
	JobID      string `json:"job_id"`
	Part       string `json:"part"`
	Text       string `json:"text"`
	Offset     int    `json:"offset"`
	TotalBytes int    `json:"total_bytes"`           // of the text without credentials
	NextOffset int    `json:"next_offset,omitempty"` // 0 where this is the end
	Binary     bool   `json:"binary,omitempty"`      // not UTF-8: what is none stands as U+FFFD
	Truncated  bool   `json:"truncated,omitempty"`   // the file has more than can be read here
}

// Bounds of what one call reads and answers, in bytes.
const (
	partBytes  = 4 << 20
	chunkBytes = 64 << 10
)

func (s *server) result(ctx context.Context, in resultInput) (out any, err error) {
	if in.Offset < 0 || in.Attempt < 0 || in.Offset > 0 && in.Part == "" {
		return nil, errors.New("offset and attempt: want 0 or more, and offset only together with part")
	}
	err = s.own(ctx, in.JobID, func(p *pipeline.Pipeline) error {
		if in.Part != "" {
			out, err = readPart(ctx, p, in)
			return way(err, "result without part lists what there is")
		}
		o, err := p.Outputs(ctx, in.JobID, in.Attempt)
		if err != nil {
			return way(err, "leave attempt out for the latest")
		}
		if o.Result == nil {
			return fmt.Errorf("%s: is %s and has no result; wait waits for it, why says why", in.JobID, o.Status)
		}
		out = *o.Result
		return nil
	})
	return out, err
}

// readPart reads a piece of the output or of an artifact. Credentials are looked for in all of it before it is cut, because
// one could lie on a cut.
func readPart(ctx context.Context, p *pipeline.Pipeline, in resultInput) (chunk, error) {
	c := chunk{JobID: in.JobID, Part: in.Part, Offset: in.Offset}
	f, err := openPart(ctx, p, in)
	if err != nil || f == nil {
		return c, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, partBytes+1))
	if err != nil {
		return c, fmt.Errorf("%s: %s: %w", in.JobID, in.Part, err)
	}
	if c.Truncated = len(data) > partBytes; c.Truncated {
		data = data[:partBytes]
	}
	c.Binary = !utf8.Valid(data) && !c.Truncated
	text, _ := p.Redact(string(data))
	text = strings.ToValidUTF8(text, "\ufffd")
	c.TotalBytes = len(text)
	if in.Offset > len(text) {
		return c, fmt.Errorf("offset: %d is behind the end, %s has %d bytes; begin at 0 or at next_offset", in.Offset, in.Part, len(text))
	}
	end := min(in.Offset+chunkBytes, len(text))
	for end < len(text) && !utf8.RuneStart(text[end]) {
		end--
	}
	if end < len(text) {
		c.NextOffset = end
	}
	c.Text = strings.ToValidUTF8(text[in.Offset:end], "\ufffd")
	return c, nil
}

// openPart opens what a job left, nil where it wrote nothing to that stream.
func openPart(ctx context.Context, p *pipeline.Pipeline, in resultInput) (*os.File, error) {
	if in.Part != "stdout" && in.Part != "stderr" {
		f, err := p.OpenArtifact(ctx, in.JobID, in.Part, in.Attempt)
		if err != nil {
			return nil, err
		}
		return f, nil
	}
	o, err := p.Outputs(ctx, in.JobID, in.Attempt)
	if err != nil {
		return nil, err
	}
	if reason, ok := o.Removed[in.Part]; ok {
		return nil, fmt.Errorf("%s: %s was removed: %s", in.JobID, in.Part, reason)
	}
	path := o.Stdout
	if in.Part == "stderr" {
		path = o.Stderr
	}
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // it has written nothing yet
	}
	return f, err
}
