package agent

import (
	"fmt"
	"io"
	"os"

	"github.com/sheratan/sheratan/gates/secrets"
	"github.com/sheratan/sheratan/pipeline/job"
)

// hiddenBytes is how much is kept of a stream or an output of a job that has something to hide. All of it is searched, in all clothes, which
// takes seconds for each megabyte.
const hiddenBytes = 256 << 10

// hiding keeps the values of job.Hidden out of what an attempt leaves. nil hides nothing.
type hiding struct {
	known  *secrets.Known
	margin int // how much of a text that was cut off may be the beginning of a value, in any clothes
}

func hidingOf(j job.Job) *hiding {
	if len(j.Hidden) == 0 {
		return nil
	}
	h := &hiding{known: secrets.NewWaived(j.Hidden)}
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
	for _, list := range [][]string{res.Programs, res.SurvivorNames} {
		for i := range list {
			list[i] = h.text(list[i])
		}
	}
}

// errUnsearched says that an output is too large to be searched.
var errUnsearched = fmt.Errorf("more than the %d bytes that are searched for what an operator has waived for this job", hiddenBytes)

// file reads an output without the values.
func (h *hiding) file(in *os.File) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(in, hiddenBytes+1))
	if err == nil && len(b) > hiddenBytes {
		err = errUnsearched
	}
	return []byte(h.text(string(b))), err
}
