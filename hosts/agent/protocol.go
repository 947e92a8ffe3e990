package agent

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"github.com/sheratan/sheratan/hosts/roots"
	"github.com/sheratan/sheratan/hosts/sandbox"
	"github.com/sheratan/sheratan/pipeline/kind"
)

// The worker reads JSON lines: first a hello, then requests, one at a time. To each request it answers with frames, JSON
// lines of which those with data are followed by so many bytes, and the last one has done.

// hello tells the worker where it may work.
type hello struct {
	Roots    roots.Spec `json:"roots"`
	Restrict bool       `json:"restrict"`       // takes from itself everything but the roots before it does anything
	Data     int64      `json:"data,omitempty"` // bytes of memory that it may write to; 0 is without limit

	User *sandbox.User `json:"user,omitempty"` // who it becomes
}

// request is one job of a file kind, or the answer of a model that has a schema. Exactly one member but Limit is set.
type request struct {
	Read  *kind.FileRead  `json:"read,omitempty"`
	List  *kind.FileList  `json:"list,omitempty"`
	Write *kind.FileWrite `json:"write,omitempty"`
	Edit  *kind.FileEdit  `json:"edit,omitempty"`
	Patch *kind.FilePatch `json:"patch,omitempty"`
	Fits  *answer         `json:"fits,omitempty"`

	Limit int64 `json:"limit"` // bytes to send at most
}

// frame is a piece of an answer.
type frame struct {
	Data int  `json:"data,omitempty"` // bytes that follow the line
	Done bool `json:"done,omitempty"`

	// With done:
	Total     int64  `json:"total,omitempty"` // bytes there were to send, more than were sent where Limit cut them
	Code      string `json:"code,omitempty"`  // "" is success
	Error     string `json:"error,omitempty"`
	Retryable bool   `json:"retryable,omitempty"`
}

// maxFrame bounds what is accepted as the length of a frame: longer ones are not sent.
const maxFrame = 64 << 10

func writeLine(w io.Writer, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// readFrame reads one frame and copies its data to out.
func readFrame(r *bufio.Reader, out io.Writer) (frame, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return frame{}, err
	}
	var f frame
	if err := json.Unmarshal(line, &f); err != nil {
		return frame{}, fmt.Errorf("worker: unreadable answer: %w", err)
	}
	if f.Data < 0 || f.Data > maxFrame {
		return frame{}, fmt.Errorf("worker: a frame of %d bytes", f.Data)
	}
	_, err = io.CopyN(out, r, int64(f.Data))
	return f, err
}

// frames cuts what is written to it into data frames, up to limit bytes. The rest is counted.
type frames struct {
	w     *bufio.Writer
	limit int64
	sent  int64
	total int64
}

func (f *frames) Write(p []byte) (int, error) {
	n := len(p)
	f.total += int64(n)
	p = p[:min(int64(n), f.limit-f.sent)]
	for len(p) > 0 {
		part := p[:min(len(p), maxFrame)]
		if err := writeLine(f.w, frame{Data: len(part)}); err != nil {
			return 0, err
		}
		if _, err := f.w.Write(part); err != nil {
			return 0, err
		}
		f.sent += int64(len(part))
		p = p[len(part):]
	}
	return n, nil
}
