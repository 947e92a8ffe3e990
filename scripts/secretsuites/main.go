// Command secretsuites measures the search for credentials on other people's samples, on cases of our own, and on lines of public source
// trees. It fetches the samples through the ordinary module proxy and keeps no copy of them. What cannot be had is named, and not measured.
//
//	go run ./scripts/secretsuites [-v] [-cases DIR] [-trees DIR,…]
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/sheratan/sheratan/gates/secrets"
)

// What is aimed at, in percent: of the true samples of each suite, and of the lines of source trees.
const (
	leastRecall     = 95.0
	mostFalseOfTree = 0.05
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx)
	stop()
	os.Exit(code)
}

func run(ctx context.Context) int {
	var verbose bool
	var cases, trees, write string
	flag.BoolVar(&verbose, "v", false, "print every miss and every false alarm")
	flag.StringVar(&cases, "cases", "", "a folder with credential-misses.jsonl and credential-false-positives.jsonl")
	flag.StringVar(&trees, "trees", "", "more source trees, apart from the standard library and the modules this one uses")
	flag.StringVar(&write, "write", "", "write the rules of gitleaks as data to this file, and measure nothing")
	flag.Parse()
	if write != "" {
		if err := convert(ctx, write); err != nil {
			fmt.Fprintf(os.Stderr, "secretsuites: %v\n", err)
			return 1
		}
		return 0
	}
	r := report{verbose: verbose}
	for _, s := range []suite{gitleaks{}, trufflehog{}} {
		samples, err := s.samples(ctx)
		if err != nil {
			fmt.Printf("%-34s not measured: %v\n", s.name(), err)
			continue
		}
		r.suite(s.name(), samples)
	}
	if cases != "" {
		samples, err := ownCases(cases)
		if err != nil {
			fmt.Fprintf(os.Stderr, "secretsuites: %v\n", err)
			return 1
		}
		r.suite("cases", samples)
	}
	dirs, err := sourceTrees(ctx)
	if err != nil {
		fmt.Fprintf(os.Stderr, "secretsuites: %v\n", err)
		return 1
	}
	if trees != "" {
		dirs = append(dirs, strings.Split(trees, ",")...)
	}
	for _, dir := range dirs {
		if err := r.tree(ctx, dir); err != nil {
			fmt.Fprintf(os.Stderr, "secretsuites: %s: %v\n", dir, err)
			return 1
		}
	}
	r.total()
	if r.missed {
		fmt.Printf("an aim is missed: at least %.0f %% of true samples, at most %.2f %% of lines\n", leastRecall, mostFalseOfTree)
		return 1
	}
	return 0
}

// sample is a text that has a credential, or one that has none.
type sample struct {
	Rule   string `json:"rule"`
	Secret bool   `json:"secret"`
	Text   string `json:"text"`
}

type suite interface {
	name() string
	samples(context.Context) ([]sample, error)
}

type report struct {
	verbose, missed bool
	lines, wrong    int // of all source trees
}

// total compares the lines of all source trees with the aim. Some modules are about keys, and have true ones for their tests.
func (r *report) total() {
	share := 100 * float64(r.wrong) / float64(max(r.lines, 1))
	r.missed = r.missed || share > mostFalseOfTree
	fmt.Printf("%-34s %d of %d lines, %.4f %%\n", "all source trees", r.wrong, r.lines, share)
}

func (r *report) suite(name string, samples []sample) {
	var yes, found, no, wrong int
	for _, s := range samples {
		hit := len(secrets.Find([]byte(s.Text))) > 0
		switch {
		case s.Secret:
			yes++
			if hit {
				found++
			} else if r.verbose {
				fmt.Printf("  missed  %s: %.200q\n", s.Rule, s.Text)
			}
		default:
			no++
			if hit {
				wrong++
				if r.verbose {
					f := secrets.Find([]byte(s.Text))[0]
					fmt.Printf("  false   %s: %s %.80q in %.160q\n", s.Rule, f.Format, s.Text[f.Start:f.End], s.Text)
				}
			}
		}
	}
	recall := 100 * float64(found) / float64(max(yes, 1))
	r.missed = r.missed || recall < leastRecall
	fmt.Printf("%-34s found %d of %d, %.2f %%; false alarms %d of %d, %.2f %%\n", name, found, yes, recall, wrong, no, 100*float64(wrong)/float64(max(no, 1)))
}

// tree counts the lines of a source tree in which something is found. Files are read as a whole, as the gates see them.
func (r *report) tree(ctx context.Context, dir string) error {
	lines, wrong := 0, 0
	formats := map[string]int{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if !d.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if len(text) > 1<<20 || bytes.IndexByte(text, 0) >= 0 {
			return nil // what no proposal could hold, and what is no text
		}
		lines += bytes.Count(text, []byte("\n"))
		last := -1
		for _, f := range secrets.Find(text) {
			if line := bytes.Count(text[:f.Start], []byte("\n")); line != last {
				wrong++
				last = line
				formats[f.Format]++
				if r.verbose {
					fmt.Printf("  false   %s:%d: %s: %.100q\n", path, line+1, f.Format, text[max(f.Start-40, 0):f.End])
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.lines, r.wrong = r.lines+lines, r.wrong+wrong
	if wrong > 0 {
		fmt.Printf("%-34s %d of %d lines, %.4f %% %v\n", tail(dir, 34), wrong, lines, 100*float64(wrong)/float64(max(lines, 1)), formats)
	}
	return nil
}

func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return "…" + s[len(s)-n+3:]
}

// sourceTrees are the standard library and the modules that this one is built from.
func sourceTrees(ctx context.Context) ([]string, error) {
	root, err := output(ctx, "", "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	list, err := output(ctx, "", "go", "list", "-m", "-f", "{{if not .Main}}{{.Dir}}{{end}}", "all")
	if err != nil {
		return nil, err
	}
	dirs := []string{filepath.Join(strings.TrimSpace(root), "src")}
	for dir := range strings.FieldsSeq(list) {
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}

// ownCases reads proposals with a credential, and some without.
func ownCases(dir string) ([]sample, error) {
	var all []sample
	for _, file := range []string{"credential-misses.jsonl", "credential-false-positives.jsonl"} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(text) {
			var p struct {
				Payload struct {
					Params struct {
						Content string   `json:"content"`
						Argv    []string `json:"argv"`
					} `json:"params"`
				} `json:"payload"`
			}
			if err := json.Unmarshal(line, &p); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			content := p.Payload.Params.Content
			if len(p.Payload.Params.Argv) > 0 {
				content = strings.Join(p.Payload.Params.Argv, " ")
			}
			all = append(all, sample{file, file == "credential-misses.jsonl", content})
		}
	}
	return all, nil
}
