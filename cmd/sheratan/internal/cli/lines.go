package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
)

const (
	// maxBatch is the number of lines that are handled at once, the size of a batch of the write path.
	maxBatch = 1000
	// batchPause is how long a batch waits for its next line. The stage before writes a batch in microseconds; waiting
	// a little lets this stage take it whole, with one sync instead of hundreds.
	batchPause = 2 * time.Millisecond
	// maxLine bounds a line of standard input, in bytes.
	maxLine = 64 << 20
)

// inputLine is one line of standard input: a proposal, or the id of a job.
type inputLine struct {
	number   int // from 1
	id       string
	text     []byte // without the newline
	proposal bool   // it has a payload; id is then what it asks to be called
	path     string // of the inbox file, in a line that submit printed
}

// parseLine takes a line with a payload for a proposal; of others it takes job_id, else id.
func parseLine(text []byte, number int) (inputLine, error) {
	var v struct {
		JobID   string          `json:"job_id"`
		ID      string          `json:"id"`
		Payload json.RawMessage `json:"payload"`
		Path    string          `json:"path"`
		// A job document has a payload too, and when it was made.
		CreatedAt string `json:"created_at"`
	}
	bad := func(format string, args ...any) error {
		return &pipeline.InputError{File: "-", Line: number, Message: fmt.Sprintf(format, args...),
			Way: "the lines are what --json prints, for example: sheratan jobs --json | sheratan COMMAND -"}
	}
	var mistyped *json.UnmarshalTypeError
	if err := json.Unmarshal(text, &v); errors.As(err, &mistyped) {
		if mistyped.Field == "" {
			return inputLine{}, bad("is a JSON %s, an object is expected", mistyped.Value)
		}
		return inputLine{}, bad("/%s: is a JSON %s, a string is expected", mistyped.Field, mistyped.Value)
	} else if err != nil {
		return inputLine{}, bad("not a line of JSON: %v", err)
	}
	if v.JobID == "" {
		v.JobID = v.ID
	}
	switch {
	case v.Payload != nil && v.CreatedAt == "":
		return inputLine{number: number, id: v.JobID, text: text, proposal: true}, nil
	case v.JobID == "":
		return inputLine{}, bad("has neither payload nor job_id nor id")
	}
	return inputLine{number: number, id: v.JobID, text: text, path: v.Path}, nil
}

// rawLine takes a line as it is, for submit: whether it is a proposal is for the inbox to say.
func rawLine(text []byte, number int) (inputLine, error) {
	return inputLine{number: number, text: text}, nil
}

// lineParser makes an inputLine of the text of one line.
type lineParser func(text []byte, number int) (inputLine, error)

// lineOrError is what the reading goroutine of stdinLines sends.
type lineOrError struct {
	line inputLine
	err  error
}

// readLines sends the lines of r, without the empty ones, until its end or until stop is closed.
func readLines(r io.Reader, parse lineParser, lines chan<- lineOrError, stop <-chan struct{}) {
	defer close(lines)
	send := func(l lineOrError) bool {
		select {
		case lines <- l:
			return true
		case <-stop:
			return false
		}
	}
	buffered := bufio.NewReaderSize(r, 64<<10)
	for n := 1; ; n++ {
		text, err := readLine(buffered)
		if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 {
			line, perr := parse(trimmed, n)
			if !send(lineOrError{line, perr}) || perr != nil {
				return
			}
		}
		if err != nil {
			if err != io.EOF {
				send(lineOrError{err: fmt.Errorf("-: line %d: %w", n, err)})
			}
			return
		}
	}
}

// stdinLines calls fn with the lines of standard input as they come, in batches. The reader is left behind when ctx
// ends: a read from a terminal cannot be called off.
func (a *app) stdinLines(ctx context.Context, parse lineParser, fn func([]inputLine) error) error {
	lines := make(chan lineOrError, maxBatch)
	stop := make(chan struct{})
	defer close(stop)
	go readLines(a.env.Stdin, parse, lines, stop)
	var batch []inputLine
	for {
		var pause <-chan time.Time
		if len(batch) > 0 {
			pause = time.After(batchPause)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-pause:
		case l, ok := <-lines:
			if l.err != nil {
				return errors.Join(flushBatch(batch, fn), l.err)
			}
			if !ok {
				return flushBatch(batch, fn)
			}
			if batch = append(batch, l.line); len(batch) < maxBatch {
				continue
			}
		}
		if err := flushBatch(batch, fn); err != nil {
			return err
		}
		batch = nil
	}
}

func flushBatch(batch []inputLine, fn func([]inputLine) error) error {
	if len(batch) == 0 {
		return nil
	}
	return fn(batch)
}

// readLine returns the next line with its newline; a longer one than maxLine is an error.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxLine {
			return nil, fmt.Errorf("longer than %d bytes", maxLine)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// isPath tells a path from the id of a job.
func isPath(arg string) bool {
	return strings.Contains(arg, "/") || strings.HasSuffix(arg, ".json") || strings.HasSuffix(arg, ".jsonl")
}

// sortArgs separates arguments into ids of jobs, paths of files, and whether - was among them.
func sortArgs(args []string) (ids, files []string, stdin bool) {
	for _, arg := range args {
		switch {
		case arg == "-":
			stdin = true
		case isPath(arg):
			files = append(files, arg)
		default:
			ids = append(ids, arg)
		}
	}
	return ids, files, stdin
}

// idArgs wants at least n arguments that are ids of jobs, or -.
func idArgs(n int) cobra.PositionalArgs {
	return cobra.MatchAll(cobra.MinimumNArgs(n), func(_ *cobra.Command, args []string) error {
		for _, arg := range args {
			if isPath(arg) {
				return usagef("%s: this command takes ids of jobs, not files", arg)
			}
		}
		return nil
	})
}

// eachIDs calls fn with the ids among args and then with those that come over standard input, where - asks for them.
// Without arguments it calls fn once with nil, which stands for all.
func (a *app) eachIDs(ctx context.Context, args []string, fn func(ids []string) error) error {
	ids, _, stdin := sortArgs(args)
	if len(ids) > 0 || !stdin {
		if err := fn(ids); err != nil || !stdin {
			return err
		}
	}
	a.streaming()
	return a.stdinLines(ctx, parseLine, func(batch []inputLine) error { return fn(idsOf(batch)) })
}

// idsOf returns the ids of the jobs in batch, each once.
func idsOf(batch []inputLine) []string {
	seen := make(map[string]bool, len(batch))
	ids := make([]string, 0, len(batch))
	for _, l := range batch {
		if l.id != "" && !seen[l.id] {
			seen[l.id] = true
			ids = append(ids, l.id)
		}
	}
	return ids
}
