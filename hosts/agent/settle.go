package agent

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/durable"
)

// settle gives what the attempt left its name for good: that of the job where it was the last attempt. A name that is taken
// belongs to an earlier end of the job, which somebody had repeated; then the attempt keeps the name with its number.
func (a *Agent) settle(j job.Job, res *job.Result) {
	if a.opt.Last == nil || !a.opt.Last(j, *res) {
		return
	}
	for _, out := range []*job.Output{&res.Stdout, &res.Stderr} {
		if out.Path != "" {
			out.Path = a.rename(out.Path, j.ID, res.Attempt)
		}
	}
	if len(res.Artifacts) == 0 {
		return
	}
	rel := strings.TrimSuffix(res.Artifacts[0].Path, "/"+res.Artifacts[0].Name)
	if to := a.rename(rel, j.ID, res.Attempt); to != rel {
		for i := range res.Artifacts {
			res.Artifacts[i].Path = to + strings.TrimPrefix(res.Artifacts[i].Path, rel)
		}
	}
}

// rename takes the number of the attempt out of the name of a file or folder, and returns its path afterwards.
func (a *Agent) rename(rel, id string, attempt int) string {
	dir, name := filepath.Split(rel)
	rest, ok := strings.CutPrefix(name, fmt.Sprintf("%s.%d.", id, attempt))
	if !ok {
		return rel
	}
	to := dir + id + "." + rest
	from := filepath.Join(a.opt.Workspace, filepath.FromSlash(rel))
	if durable.RenameNoReplace(from, filepath.Join(a.opt.Workspace, filepath.FromSlash(to))) != nil {
		return rel // it is as good under its number
	}
	return to
}
