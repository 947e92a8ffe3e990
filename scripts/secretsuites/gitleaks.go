package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// gitleaks is the rule set of that project (MIT). Each of its rules brings samples, most of them drawn anew at each run. They are had by
// running the project's own generator, in a copy of its module, with the function that tries a sample replaced by one that prints it.
type gitleaks struct{}

const (
	gitleaksModule  = "github.com/zricethezav/gitleaks/v8"
	gitleaksVersion = "v8.30.1"
)

func (gitleaks) name() string { return "gitleaks " + gitleaksVersion }

// printer stands in for cmd/generate/config/utils/validate.go.
const printer = `package utils

import (
	"encoding/json"
	"fmt"

	"` + gitleaksModule + `/config"
)

func say(rule string, secret bool, text string) {
	line, err := json.Marshal(map[string]any{"rule": rule, "secret": secret, "text": text})
	if err != nil {
		panic(err)
	}
	fmt.Printf("SAMPLE %s\n", line)
}

func define(r config.Rule) {
	if r.Regex == nil {
		return
	}
	line, err := json.Marshal(map[string]any{"id": r.RuleID, "regex": r.Regex.String(), "keywords": r.Keywords, "entropy": r.Entropy})
	if err != nil {
		panic(err)
	}
	fmt.Printf("RULE %s\n", line)
}

func Validate(r config.Rule, yes, no []string) *config.Rule {
	define(r)
	for _, s := range yes {
		say(r.RuleID, true, s)
	}
	for _, s := range no {
		say(r.RuleID, false, s)
	}
	return &r
}

func ValidateWithPaths(r config.Rule, yes, no map[string]string) *config.Rule {
	define(r)
	for _, s := range yes {
		say(r.RuleID, true, s)
	}
	for _, s := range no {
		say(r.RuleID, false, s)
	}
	return &r
}
`

func (gitleaks) samples(ctx context.Context) ([]sample, error) {
	lines, err := generated(ctx)
	if err != nil {
		return nil, err
	}
	var all []sample
	for _, line := range lines {
		text, ok := strings.CutPrefix(line, "SAMPLE ")
		if !ok {
			continue
		}
		var s sample
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			return nil, err
		}
		if s.Text != "" { // one rule looks at the names of files only
			all = append(all, s)
		}
	}
	if len(all) < 1000 {
		return nil, fmt.Errorf("the generator prints %d samples: it has changed", len(all))
	}
	return all, nil
}

// generated returns what the generator prints: a line for each rule, and one for each sample.
func generated(ctx context.Context) ([]string, error) {
	source, err := module(ctx, gitleaksModule, gitleaksVersion)
	if err != nil {
		return nil, err
	}
	copied, err := os.MkdirTemp("", "gitleaks-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(copied)
	if err := os.CopyFS(copied, os.DirFS(source)); err != nil {
		return nil, err
	}
	folder := filepath.Join(copied, "cmd", "generate", "config")
	instead := filepath.Join(folder, "utils", "validate.go")
	if err := os.Remove(instead); err != nil {
		return nil, err
	}
	if err := os.WriteFile(instead, []byte(printer), 0o644); err != nil {
		return nil, err
	}
	out, err := output(ctx, folder, "go", "run", ".", os.DevNull)
	return strings.Split(out, "\n"), err
}

// module fetches a module into the module cache, and returns its folder there.
func module(ctx context.Context, path, version string) (string, error) {
	out, err := output(ctx, "", "go", "mod", "download", "-json", path+"@"+version)
	var m struct{ Dir, Error string }
	switch jsonErr := json.Unmarshal([]byte(out), &m); {
	case m.Error != "":
		return "", errors.New(strings.Join(strings.Fields(m.Error), " "))
	case err != nil:
		return "", err
	default:
		return m.Dir, jsonErr
	}
}
