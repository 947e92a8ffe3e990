package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/pipeline/rules"
)

// proposalOptions are the flags that make a proposal on the command line.
type proposalOptions struct {
	Kind     string
	Params   []string
	ID       string
	Key      string
	Lane     string
	Priority string
	After    []string
	IfFailed string
	Timeout  string
	Retries  int
	Outputs  []string
}

func (o *proposalOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.Kind, "kind", "", "propose a job of `KIND`")
	f.StringArrayVar(&o.Params, "param", nil, "set a parameter, `NAME=VALUE`; a number, true, false, [...] or {...} is taken as JSON")
	f.StringVar(&o.ID, "id", "", "give the job this `ID` (default a UUID)")
	f.StringVar(&o.Key, "key", "", "idempotency `KEY`: the same key is run once")
	f.StringVar(&o.Lane, "concurrency-key", "", "run one at a time of the jobs with this `KEY`")
	f.StringVar(&o.Priority, "priority", "", "`critical`, high, normal or low (default normal)")
	f.StringArrayVar(&o.After, "after", nil, "wait until the job with this `ID` has completed")
	f.StringVar(&o.IfFailed, "on-dependency-failure", "", "when such a job fails: `fail` too, skip this one, or wait until it is retried (default fail)")
	f.StringVar(&o.Timeout, "timeout", "", "end the job after `TIME`, as 90, 90s or 5m (default 5m)")
	f.IntVar(&o.Retries, "retries", 0, "try again `N` times when it fails (default what its kind or rule says: none, or 3 where a rerun is safe)")
	f.StringArrayVar(&o.Outputs, "output", nil, "keep the file or pattern `PATH` that the job leaves, with its result")
	_ = cmd.RegisterFlagCompletionFunc("kind", completeWords(kindNames()...))
	_ = cmd.RegisterFlagCompletionFunc("on-dependency-failure", completeWords("fail", "skip", "wait"))
	_ = cmd.RegisterFlagCompletionFunc("priority", completeWords("critical", "high", "normal", "low"))
}

// proposalFlags are the names of these flags, which make no sense for proposals that lie in files.
var proposalFlags = []string{
	"kind", "param", "id", "key", "concurrency-key", "priority", "after", "on-dependency-failure", "timeout", "retries", "output",
}

// build makes the proposal; argv are the words after "--".
func (o *proposalOptions) build(a *app, cmd *cobra.Command, argv []string) ([]byte, error) {
	p := job.Proposal{ID: o.ID, IdempotencyKey: o.Key, ConcurrencyKey: o.Lane, DependsOn: o.After}
	for flag, ids := range map[string][]string{"id": {o.ID}, "key": {o.Key}, "concurrency-key": {o.Lane}, "after": o.After} {
		for _, id := range ids {
			if cmd.Flags().Changed(flag) && !job.ValidID(id) {
				return nil, usagef("--%s %q: an id has 1 to 64 of A-Z a-z 0-9 . _ - and begins with a letter or digit", flag, id)
			}
		}
	}
	for _, path := range o.Outputs {
		d := job.Declared{Path: path}
		if err := d.Check(); err != nil {
			return nil, usagef("--output %q: %w", path, err)
		}
		p.Outputs = append(p.Outputs, d)
	}
	if o.Priority != "" {
		prio, err := job.ParsePriority(o.Priority)
		if err != nil {
			return nil, usagef("--%w", err)
		}
		p.Priority = &prio
	}
	if o.IfFailed != "" {
		p.OnDependencyFailure = job.OnFailure(o.IfFailed)
		if p.OnDependencyFailure.OrDefault() != p.OnDependencyFailure {
			return nil, usagef("--on-dependency-failure %q: is none of fail, skip, wait", o.IfFailed)
		}
	}
	if o.Timeout != "" {
		n, err := parseSeconds(o.Timeout)
		if err != nil {
			return nil, usagef("--timeout %s: %w", o.Timeout, err)
		}
		p.TimeoutSeconds = &n
	}
	if cmd.Flags().Changed("retries") {
		p.MaxRetries = &o.Retries
	}
	p.Payload.Kind = o.Kind
	if len(argv) > 0 {
		if o.Kind != "" && o.Kind != "exec" {
			return nil, usagef("--kind %s: a program after -- is a job of kind exec", o.Kind)
		}
		p.Payload.Kind = "exec"
	}
	k, _ := a.kind(p.Payload.Kind) // of one that is unknown, which the gates refuse, everything is JSON that can be
	params, err := buildParams(k, o.Params)
	if err != nil {
		return nil, err
	}
	if len(argv) > 0 {
		params["argv"] = argv
	}
	if p.Payload.Params, err = marshal(params); err != nil {
		return nil, err
	}
	return marshal(p)
}

// marshal is json.Marshal without the escapes for HTML, which no reader of a proposal wants.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// buildParams makes the parameters of a job out of NAME=VALUE words.
func buildParams(k kind.Kind, words []string) (map[string]any, error) {
	params := map[string]any{}
	texts := textParams(k)
	for _, w := range words {
		name, value, ok := strings.Cut(w, "=")
		if !ok || name == "" {
			return nil, usagef("--param %q: want NAME=VALUE", w)
		}
		if _, twice := params[name]; twice {
			return nil, usagef("--param %s: given twice", name)
		}
		params[name] = paramValue(value, texts[name])
	}
	return params, nil
}

// paramValue takes a JSON number, boolean, object or array for what it is, and anything else for text. A parameter of
// which the kind says that it is text is always text, so that a file can be given the content 42.
func paramValue(s string, text bool) any {
	if text || s == "" || !json.Valid([]byte(s)) {
		return s
	}
	if first := strings.TrimSpace(s)[0]; first == '"' || first == 'n' {
		return s
	}
	return json.RawMessage(s)
}

// parseSeconds takes whole seconds, or a Go duration of whole seconds.
func parseSeconds(s string) (int, error) {
	if n, err := strconv.Atoi(s); err == nil {
		if n < 1 {
			return 0, errors.New("want at least one second")
		}
		return n, nil
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return 0, errors.New("want seconds or a duration such as 90s or 5m")
	case d < time.Second || d%time.Second != 0:
		return 0, errors.New("want whole seconds, at least one")
	}
	return int(d / time.Second), nil
}

// readDrafts reads a proposal file as the inbox would take it: one proposal, or one per line where the name ends in
// .jsonl. A signature of a single one lies beside it.
func (a *app) readDrafts(name string) ([]pipeline.Draft, error) {
	if strings.HasSuffix(name, ".jsonl") {
		var list []pipeline.Draft
		err := a.eachDraft(name, func(batch []pipeline.Draft) error {
			list = append(list, batch...)
			return nil
		})
		return list, err
	}
	d, err := a.readDraft(name)
	if err == nil && d.More {
		err = fmt.Errorf("%s: has more than the %d bytes that a proposal may have", name, rules.LargestProposal)
	}
	return []pipeline.Draft{d}, err
}

// open opens a file that is no folder.
func (a *app) open(name string) (*os.File, error) {
	path := a.env.path(name)
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, &pipeline.InputError{File: name, Message: "is a folder",
			Way: "sheratan submit " + shellWord(strings.TrimSuffix(name, "/")) + "/*.json"}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, bare(name, err)
	}
	return f, nil
}

// readDraft reads the one proposal of a file, and no more of it than a proposal may have.
func (a *app) readDraft(name string) (pipeline.Draft, error) {
	f, err := a.open(name)
	if err != nil {
		return pipeline.Draft{}, err
	}
	defer f.Close()
	d := pipeline.Draft{Name: name}
	if d.Data, err = io.ReadAll(io.LimitReader(f, rules.LargestProposal+1)); err != nil {
		return d, bare(name, err)
	}
	if d.More = len(d.Data) > rules.LargestProposal; d.More {
		d.Data = d.Data[:rules.LargestProposal]
	}
	sig, err := os.Open(a.env.path(name) + ".sig")
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err == nil {
		defer sig.Close()
		d.Signature, err = io.ReadAll(io.LimitReader(sig, largestSignature))
	}
	if err != nil {
		return d, bare(name+".sig", err)
	}
	return d, nil
}

// largestSignature is far more than any armored SSH signature has, in bytes.
const largestSignature = 64 << 10

// eachDraft calls fn with the lines of a file that are not empty, so many at a time that a file of any length takes little memory.
func (a *app) eachDraft(name string, fn func([]pipeline.Draft) error) error {
	f, err := a.open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	var batch []pipeline.Draft
	size := 0
	for n := 1; ; n++ {
		line, err := readLine(r)
		if err != nil && err != io.EOF {
			return fmt.Errorf("line %d: %w", n, bare(name, err))
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			batch = append(batch, pipeline.Draft{Name: name, Line: n, Data: line})
			size += len(line)
		}
		if len(batch) > 0 && (err == io.EOF || len(batch) == maxBatch || size >= batchBytes) {
			if err := fn(batch); err != nil {
				return err
			}
			batch, size = nil, 0
		}
		if err == io.EOF {
			return nil
		}
	}
}

// batchBytes bounds the lines that are handled at once, as the write path does.
const batchBytes = 4 << 20

// bare returns err about name: what went wrong, without the name of the system call and the absolute path.
func bare(name string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// shellWord quotes s for a shell where that is needed.
func shellWord(s string) string {
	plain := s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-/=:,@%+", r))
	}) < 0
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
