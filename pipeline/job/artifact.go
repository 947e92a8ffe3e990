package job

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"
)

// MaxOutputs is how many outputs a proposal may declare.
const MaxOutputs = 100

// Declared is a file, or a pattern of files, that a job promises to leave: they are kept with its result. In a proposal it is
// a string, the path, or an object.
type Declared struct {
	Path      string `json:"path"`                 // relative to the folders that outputs are looked for in; *, ? and [a-z] match within a component
	Optional  bool   `json:"optional,omitempty"`   // it is no failure where there is no such file
	OnFailure bool   `json:"on_failure,omitempty"` // it is kept of attempts that failed as well, where it is there
}

// UnmarshalJSON accepts the path alone as well.
func (d *Declared) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*d = Declared{}
		return json.Unmarshal(b, &d.Path)
	}
	type object Declared
	return json.Unmarshal(b, (*object)(d))
}

// MarshalJSON writes the path alone where there is no more to say.
func (d Declared) MarshalJSON() ([]byte, error) {
	if !d.Optional && !d.OnFailure {
		return json.Marshal(d.Path)
	}
	type object Declared
	return json.Marshal(object(d))
}

// Pattern reports whether the path stands for any number of files.
func (d Declared) Pattern() bool { return strings.ContainsAny(d.Path, "*?[") }

// Check reports what is wrong with the spelling of the path, as far as it concerns outputs: whether it is a path that may
// be used is for the roots to say.
func (d Declared) Check() error {
	switch {
	case d.Path == "":
		return fmt.Errorf("an output needs a path")
	case strings.HasPrefix(d.Path, "/"):
		return fmt.Errorf("an output is relative: to $SHERATAN_WORK or the folder that the job works in")
	case strings.HasSuffix(d.Path, "/"):
		return fmt.Errorf("an output is a file; DIR/* keeps the files of a folder")
	}
	if _, err := path.Match(d.Path, ""); err != nil {
		return fmt.Errorf("the pattern has a [ without its ]")
	}
	return nil
}

// Artifact is a file that an attempt left and that is kept.
type Artifact struct {
	Name   string `json:"name"` // relative to the folder that it was in
	Path   string `json:"path"` // where it is kept, relative to the workspace
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// KeptBytes is the size of all Files, and at least 1 where there is one, so that empty ones are not forgotten.
func (r *Result) KeptBytes() (n int64) {
	n = r.Stdout.Kept + r.Stderr.Kept
	for _, a := range r.Artifacts {
		n += a.Bytes
	}
	if len(r.Artifacts) > 0 {
		n = max(n, 1)
	}
	return n
}

// Files lists the output files and artifacts that a result names.
func (r *Result) Files() []Artifact {
	var files []Artifact
	for _, s := range []struct {
		name string
		out  *Output
	}{{"stdout", &r.Stdout}, {"stderr", &r.Stderr}} {
		if s.out.Path != "" {
			files = append(files, Artifact{Name: s.name, Path: s.out.Path, Bytes: s.out.Kept, SHA256: s.out.SHA256})
		}
	}
	return append(files, r.Artifacts...)
}
