package agent

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sheratan/sheratan/gates/secrets"
	"github.com/sheratan/sheratan/pipeline/job"
)

// hiddenBytes is how much is kept of a stream, or of all outputs, of a job that has something to hide. All of it is searched, in all clothes, which
// takes seconds for each megabyte.
const hiddenBytes = 256 << 10

// hiding keeps the values of job.Hidden out of what an attempt leaves. nil hides nothing.
type hiding struct {
	known  *secrets.Known
	values []string
	left   int64 // of declared outputs, in bytes
	margin int   // how much of a text that was cut off may be the beginning of a value, in any clothes
}

func hidingOf(j job.Job) *hiding {
	if len(j.Hidden) == 0 {
		return nil
	}
	h := &hiding{known: secrets.NewWaived(j.Hidden), values: j.Hidden, left: hiddenBytes}
	for _, v := range j.Hidden {
		h.margin = max(h.margin, 8*len(v))
	}
	return h
}

// text takes the values out of a text.
func (h *hiding) text(s string) string {
	if h == nil {
		return s
	}
	s, _ = h.known.Mask(s)
	return s
}

// kept takes the values out of what was kept of an output.
func (h *hiding) kept(b []byte, cut bool) []byte {
	if cut {
		b = b[:max(0, len(b)-h.margin)]
	}
	return []byte(h.text(string(b)))
}

// result takes the values out of what a result tells beside the output.
func (h *hiding) result(res *job.Result) {
	if h == nil {
		return
	}
	res.Error = h.text(res.Error)
	for _, list := range [][]string{res.Programs, res.SurvivorNames, res.Killed} {
		for i := range list {
			list[i] = h.text(list[i])
		}
	}
	for _, list := range [][]string{res.SurvivorNames, res.Killed} {
		for i, name := range list {
			list[i] = h.processName(name)
		}
	}
}

// nameBytes is how much of its name the kernel keeps of a process.
const nameBytes = 15

// processName takes out the beginning of a value that the name of a process was cut off in.
func (h *hiding) processName(name string) string {
	if len(name) < nameBytes {
		return name
	}
	for _, v := range h.values {
		for n := min(len(v), len(name)); n >= leastCut; n-- {
			if rest, ok := strings.CutSuffix(name, v[:n]); ok {
				return rest + "[redacted waived]"
			}
		}
	}
	return name
}

// leastCut is how much of a value the end of a name must be to be taken for its beginning.
const leastCut = 3

// errUnsearched says that an output is too large to be searched.
var errUnsearched = fmt.Errorf("with it the outputs are more than the %d bytes that are searched for what an operator has waived for this job", hiddenBytes)

// file reads an output without the values.
func (h *hiding) file(in *os.File) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(in, h.left+1))
	if h.left -= int64(len(b)); err == nil && h.left < 0 {
		h.left, err = 0, errUnsearched
	}
	if err != nil {
		return nil, err
	}
	return []byte(h.text(string(b))), nil
}
