package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline/kind"
	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/schemas"
)

// kindCheck is what kinds test says of one file.
type kindCheck struct {
	Kind     string `json:"kind"`
	File     string `json:"file"`
	Status   string `json:"status"` // ok or bad
	Examples int    `json:"examples"`
	Message  string `json:"message"`
}

// kindArgv is what kinds test says of parameters.
type kindArgv struct {
	Kind string   `json:"kind"`
	Argv []string `json:"argv"`
}

func newKindsTest(a *app) *cobra.Command {
	var words []string
	c := &cobra.Command{
		Use:   "test [FILE... | KIND]",
		Short: "try the kinds in config/kinds",
		Long: `Checks descriptions of kinds and runs their examples: the FILEs, which need not be in a workspace, or all of
config/kinds. With KIND and --param it prints the command line that a job with these parameters would run, or
why there is none. Nothing is executed.`,
		Example: `sheratan kinds test
sheratan kinds test ./my-kind.json
sheratan kinds test go-test --param run=TestX`,
		Annotations: exits(exitNoWorkspace),
		Args:        cobra.ArbitraryArgs,
	}
	c.Flags().StringArrayVar(&words, "param", nil, "set a parameter of KIND, `NAME=VALUE`, as submit takes it")
	c.RunE = a.run(func(_ context.Context, args []string) error {
		if len(args) == 1 && !isPath(args[0]) {
			return runKindArgv(a, args[0], words)
		}
		if len(words) > 0 {
			return usagef("--param: needs the name of one kind")
		}
		return runKindsTest(a, args)
	})
	return c
}

// runKindArgv prints the command line of a kind of the operator's own with these parameters.
func runKindArgv(a *app, name string, words []string) error {
	k, err := a.kind(name)
	if err != nil {
		return err
	}
	if !k.Own() {
		return usagef("%s: is built in, and has no command line of its own", name)
	}
	params, err := buildParams(k, words)
	if err != nil {
		return err
	}
	text, err := marshal(params)
	if err != nil {
		return err
	}
	v, err := schemas.Parse(text, schemas.Limits{}) // numbers as they are in proposals
	if err != nil {
		return err
	}
	object, _ := v.(map[string]any)
	cmd, err := k.Fill(object)
	if err != nil {
		return hint(err, "sheratan kinds show "+escape(name))
	}
	if a.global.JSON {
		return a.out.line(kindArgv{k.Name, cmd.Argv})
	}
	text, err = marshal(cmd.Argv)
	if err != nil {
		return err
	}
	return a.out.printf("%s\n", escape(string(text)))
}

func runKindsTest(a *app, names []string) error {
	files, err := a.kindFiles(names)
	if err != nil {
		return err
	}
	bad := false
	t := &table{style: a.out.style}
	for _, f := range files {
		checks := []kindCheck{{Kind: f.Kind.Name, File: f.Name, Status: "ok", Examples: f.Kind.Examples(), Message: f.Kind.Summary}}
		if len(f.Problems) > 0 {
			bad, checks = true, nil
		}
		for _, p := range f.Problems {
			message := strings.TrimPrefix(p.Pointer+": "+p.Message, ": ")
			checks = append(checks, kindCheck{File: f.Name, Status: "bad", Message: message})
		}
		for _, c := range checks {
			if a.global.JSON {
				if err := a.out.line(c); err != nil {
					return err
				}
				continue
			}
			t.add(c.Status, c.File, c.Kind, fmt.Sprintf("%d examples", c.Examples), c.Message)
		}
	}
	if err := t.flush(a.out); err != nil {
		return err
	}
	if bad {
		return outcome(exitError)
	}
	return nil
}

// kindFiles reads these files, or all of config/kinds.
func (a *app) kindFiles(names []string) (files []rules.KindFile, err error) {
	if len(names) == 0 {
		ws, err := a.find()
		if err != nil {
			return nil, err
		}
		return rules.ReadKinds(ws)
	}
	for _, name := range names {
		text, err := os.ReadFile(a.env.path(name))
		if err != nil {
			return nil, bare(name, err)
		}
		f := rules.KindFile{Name: name}
		f.Kind, f.Problems = rules.ParseKind(name, text)
		files = append(files, f)
	}
	return files, nil
}

// textParams returns the parameters of a kind that its schema takes as text.
func textParams(k kind.Kind) map[string]bool {
	var schema struct {
		Properties map[string]struct {
			Type any `json:"type"`
		} `json:"properties"`
	}
	if json.Unmarshal(k.Schema, &schema) != nil {
		return nil
	}
	texts := map[string]bool{}
	for name, p := range schema.Properties {
		texts[name] = p.Type == "string"
	}
	return texts
}
