package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline/rules"
)

func newConfig(a *app) *cobra.Command {
	return family(&cobra.Command{
		Use:   "config",
		Short: "what is configured",
		Long: `Shows and checks the rules in config/: config/sheratan.json with all its defaults, and the policies. Edit the
files with an editor; a loop takes changes up by itself.`,
		Example: `sheratan config show --explain
sheratan config check`,
	}, newConfigShow(a), newConfigCheck(a), newConfigLock(a))
}

type configOptions struct{ Explain, All bool }

func newConfigShow(a *app) *cobra.Command {
	var o configOptions
	c := &cobra.Command{
		Use:   "show",
		Short: "print the configuration with all defaults",
		Long: `Prints config/sheratan.json as it is in force, with every default. --explain prints one line for each setting
instead, with what it means and whether it is the default. --all prints the whole document that gate reports
name by digest: configuration, policies, kinds, prompts, roots, and the programs that exec rules name.`,
		Example: `sheratan config show
sheratan config show --explain
sheratan config show --json | jq .limits`,
		Annotations: exits(exitNoWorkspace),
		Args:        cobra.NoArgs,
	}
	c.Flags().BoolVar(&o.Explain, "explain", false, "say what each setting means")
	c.Flags().BoolVar(&o.All, "all", false, "print everything that a verdict depends on")
	c.RunE = a.run(func(ctx context.Context, _ []string) error {
		if o.Explain && o.All {
			return usagef("--explain: does not go with --all")
		}
		return runConfigShow(ctx, a, &o)
	})
	return c
}

func runConfigShow(ctx context.Context, a *app, o *configOptions) error {
	ws, err := a.find()
	if err != nil {
		return err
	}
	r, err := rules.Load(ctx, ws, rules.Options{Unlocked: true})
	if err != nil {
		return err
	}
	defer r.Close()
	for _, w := range r.Warnings {
		a.people.warn("%s", w)
	}
	if o.Explain {
		return explainConfig(a, r.Config)
	}
	text := r.Document
	if !o.All {
		if text, err = marshal(r.Config); err != nil {
			return err
		}
	}
	if a.global.JSON {
		return a.out.printf("%s\n", text)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err = a.out.Write(b.Bytes())
	return err
}

// configCheck is what config check prints with --json.
type configCheck struct {
	OK       bool            `json:"ok"`
	Digest   string          `json:"digest,omitempty"`
	Problems []rules.Problem `json:"problems"`
	Warnings []string        `json:"warnings"`
}

func newConfigCheck(a *app) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "check",
		Short: "look for mistakes in the rules",
		Long: `Loads the rules as a tick would and prints everything that is wrong with them, with the place in the file.
Rules with a mistake are not loaded by any command, so nothing runs until they are mended. A loop that is at
work lets its jobs end and begins nothing; status says so.`,
		Example: `sheratan config check
sheratan config check --config new.json`,
		Annotations: exits(exitNoWorkspace),
		Args:        cobra.NoArgs,
	}
	c.Flags().StringVar(&file, "config", "", "check `FILE` in place of config/sheratan.json")
	c.RunE = a.run(func(ctx context.Context, _ []string) error { return runConfigCheck(ctx, a, file) })
	return c
}

func runConfigCheck(ctx context.Context, a *app, file string) error {
	ws, err := a.find()
	if err != nil {
		return err
	}
	if file != "" {
		file = a.env.path(file)
	}
	problems, warnings, err := rules.Check(ctx, ws, rules.Options{Config: file})
	if err != nil {
		return err
	}
	c := configCheck{OK: len(problems) == 0, Problems: append([]rules.Problem{}, problems...), Warnings: append([]string{}, warnings...)}
	if a.global.JSON {
		if err := a.out.line(c); err != nil {
			return err
		}
	} else {
		for _, p := range problems {
			if err := a.out.printf("%s\n", escape(p.String())); err != nil {
				return err
			}
		}
		if c.OK {
			if err := a.out.printf("%s: the rules load\n", a.out.style.word("ok")); err != nil {
				return err
			}
		}
	}
	for _, w := range warnings {
		a.people.warn("%s", w)
	}
	if !c.OK {
		return outcome(exitError)
	}
	return nil
}

func newConfigLock(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "lock",
		Short: "pin the rules as they are now",
		Long: `Writes the digest of the rules into config/sheratan.lock.json. From then on rules with another digest are not
loaded: a change in config/ or of a program that an exec rule names stops everything until somebody has looked
at it and locks again, or deletes the file.`,
		Example: `sheratan config lock
rm config/sheratan.lock.json      # sheratan takes changes as they come again`,
		Annotations: exits(exitNoWorkspace),
		Args:        cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			if err := a.refuseInsideJob("config lock"); err != nil {
				return err
			}
			ws, err := a.find()
			if err != nil {
				return err
			}
			digest, err := rules.Lock(ctx, ws, a.env.Now())
			if err != nil {
				return err
			}
			return a.show(map[string]string{"path": ws.Rel(ws.ConfigLock()), "digest": digest},
				fmt.Sprintf("locked %s in %s\n", digest, escape(ws.Rel(ws.ConfigLock()))))
		}),
	}
}
