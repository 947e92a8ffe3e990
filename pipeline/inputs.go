package pipeline

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/sheratan/sheratan/hosts/agent"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/ledger"
)

// input is a dependency of an attempt, as the index had it when the attempt was leased: the document with what it left.
type input struct {
	id     string
	result ledger.Ref // empty where there is none
}

// inputs lists the completed dependencies of a job. A job that shared another one's end has that one's result.
func (b *batch) inputs(j job.Job) ([]input, error) {
	if len(j.DependsOn) == 0 {
		return nil, nil
	}
	deps, err := b.tx.DependsOn(j.ID)
	if err != nil {
		return nil, err
	}
	var list []input
	for _, d := range deps {
		row, ok, err := b.tx.Job(d.Follows)
		for n := 0; err == nil && ok && row.Result.SHA256 == "" && row.JoinedTo != "" && n < joinedLimit; n++ {
			row, ok, err = b.tx.Job(row.JoinedTo)
		}
		if err != nil {
			return nil, err
		}
		list = append(list, input{id: d.ID, result: row.Result})
	}
	return list, nil
}

// joinedLimit bounds how many jobs that share each other's end are followed.
const joinedLimit = 100

// provide reads the results that attempts will find in their work folders. It belongs outside the lock.
func (p *Pipeline) provide(list []*attempt) {
	for _, a := range list {
		for _, in := range a.inputs {
			a.deps = append(a.deps, p.dependency(in))
		}
	}
}

// dependency reads what one dependency left.
func (p *Pipeline) dependency(in input) agent.Dependency {
	d := agent.Dependency{ID: in.id}
	if in.result.SHA256 == "" {
		d.Problem = "it has no result"
		return d
	}
	doc, err := p.docs.Read(in.result)
	var res struct {
		job.Result
		Artifacts []struct {
			Path   string `json:"path"`
			SHA256 string `json:"sha256"`
		} `json:"artifacts"`
	}
	if err == nil {
		err = json.Unmarshal(doc, &res)
	}
	if err != nil {
		d.Problem = fmt.Sprintf("its result cannot be read: %v", err)
		return d
	}
	d.Result = doc
	for _, f := range []struct {
		name string
		out  job.Output
	}{{"stdout", res.Stdout}, {"stderr", res.Stderr}} {
		d.Files = append(d.Files, agent.DependencyFile{Name: f.name, Path: p.kept(f.out.Path), SHA256: f.out.SHA256})
	}
	for _, f := range res.Artifacts {
		_, name, ok := strings.Cut(f.Path, ".artifacts/")
		if !ok {
			name = filepath.Base(f.Path)
		}
		d.Files = append(d.Files, agent.DependencyFile{Name: "artifacts/" + name, Path: p.kept(f.Path), SHA256: f.SHA256})
	}
	return d
}

// kept is the absolute path of a file that a result names relative to the workspace; "" stays "".
func (p *Pipeline) kept(path string) string {
	if path == "" {
		return ""
	}
	return filepath.Join(p.ws.Root(), filepath.FromSlash(path))
}
