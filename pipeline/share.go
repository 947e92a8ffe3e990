package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/workspace"
	"github.com/sheratan/sheratan/schemas"
)

// SharedKind is a kind as an agent with a user of its own gets to read it.
type SharedKind struct {
	Kind      string          `json:"kind"`
	Decision  string          `json:"decision"`
	Effect    string          `json:"effect"`
	RerunSafe bool            `json:"rerun_safe"`
	Summary   string          `json:"summary"`
	Schema    json.RawMessage `json:"schema"` // of the params
}

// share copies what a job left to where its agent can read it: the job with its result, its output, its artifacts. What cannot be
// copied is told of, and the job is as it is.
func (p *Pipeline) share(row indexRow, j job.Job, doc []byte) {
	if !p.ws.Separated(row.Source) {
		return
	}
	put := func(name string, data []byte) error {
		return p.ws.Share(row.Source, "results/"+name, bytes.NewReader(data))
	}
	var errs []error
	if res := p.resultOf(row, j); res != nil {
		for name, path := range map[string]string{".stdout": res.Stdout.Path, ".stderr": res.Stderr.Path} {
			errs = append(errs, p.shareFile(row.Source, "results/"+row.ID+name, path))
		}
		for _, f := range res.Artifacts {
			errs = append(errs, p.shareFile(row.Source, "results/"+row.ID+".artifacts/"+f.Name, f.Path))
		}
	}
	// The document comes last: who finds it finds the rest.
	errs = append(errs, put(row.ID+".json", doc))
	if err := errors.Join(errs...); err != nil {
		p.warn("%s: its agent cannot read all that it left: %v", row.ID, err)
	}
}

func (p *Pipeline) shareFile(source, name, path string) error {
	if path == "" {
		return nil
	}
	f, err := os.Open(p.abs(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed, which the document says
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return p.ws.Share(source, name, f)
}

// unshare removes the copies of a file of the results that is removed.
func (p *Pipeline) unshare(rel string) error {
	// results/YYYY/MM/DD/HH/NAME, in earlier versions without the hour
	rest := strings.TrimPrefix(rel, p.ws.Rel(p.ws.Results())+"/")
	for len(rest) > 0 {
		first, more, ok := strings.Cut(rest, "/")
		if !ok || strings.Trim(first, "0123456789") != "" {
			break
		}
		rest = more
	}
	return p.ws.Unshare(rest)
}

// shareKinds tells the agents that have a user of their own what they may propose.
func (p *Pipeline) shareKinds(r *rules.Rules) {
	agents, err := p.ws.AgentUsers()
	if err != nil || len(agents) == 0 {
		return
	}
	var list []SharedKind
	for _, k := range r.Gates.Kinds() {
		list = append(list, SharedKind{Kind: k.Name, Decision: r.Config.Gates.Kinds.Decision(k.Name), Effect: string(k.Effect),
			RerunSafe: k.RerunSafe, Summary: k.Summary, Schema: k.Schema})
	}
	text, err := schemas.Marshal(list)
	if err != nil {
		p.warn("the agents cannot read what they may propose: kinds: %v", err)
		return
	}
	text = append(text, '\n')
	for _, a := range agents {
		if !p.ws.Separated(a.Name) {
			continue
		}
		if err := p.ws.Share(a.Name, workspace.KindsName, bytes.NewReader(text)); err != nil {
			p.warn("agent %s cannot read what it may propose: %v", a.Name, err)
		}
	}
}
