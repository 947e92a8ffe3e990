package cli

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/runtime/workspace"
)

// initLine is what init prints with --json.
type initLine struct {
	Workspace string   `json:"workspace"`
	Roots     []string `json:"roots"`
	Made      []string `json:"made"`
	Warnings  []string `json:"warnings"`
}

func newInit(a *app) *cobra.Command {
	var (
		roots, agents []string
		operator      string
	)
	c := &cobra.Command{
		Use:   "init [DIR]",
		Short: "make a workspace",
		Long: `Makes a workspace in DIR, which must be empty or not exist. Without DIR it is made here, or inside a git work
tree in sheratan/, with that work tree as the folder in which jobs may work.

It looks at the machine and writes a configuration with rules for harmless programs and for the toolchains
that it finds, an AGENTS.md that tells agents how to propose, and the ledger with its git repository.`,
		Example: `sheratan init
sheratan init /srv/sheratan --root /srv/project
sudo sheratan init /srv/sheratan --operator alice --agent crawler`,
		Annotations: exits(),
		Args:        cobra.MaximumNArgs(1),
	}
	c.Flags().StringArrayVar(&roots, "root", nil, "let jobs work in `DIR`; may be repeated")
	c.Flags().StringArrayVar(&agents, "agent", nil, "give this `USER` an inbox and replies of its own, and nothing else; may be repeated")
	c.Flags().StringVar(&operator, "operator", "", "make it for this `USER`, who decides and as whom jobs run (default the user who called sudo, otherwise you)")
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		return runInit(ctx, a, optional(args), roots, agents, operator)
	})
	return c
}

func runInit(ctx context.Context, a *app, dir string, roots, agents []string, operator string) error {
	if a.env.DirErr != nil {
		return a.env.DirErr
	}
	if dir == "" && a.global.Workspace != "" {
		dir = a.global.Workspace
	}
	owner, err := a.operator(operator)
	if err != nil {
		return err
	}
	made, err := pipeline.Init(ctx, workspace.InitOptions{Cwd: a.env.Dir, Dir: dir, Roots: roots, Agents: agents, Owner: owner}, a.options())
	if err != nil {
		return err
	}
	for _, w := range made.Warnings {
		a.people.warn("%s", w)
	}
	root := made.Workspace.Root()
	if a.global.JSON {
		return a.out.line(initLine{root, made.Roots, made.Made, append([]string{}, made.Warnings...)})
	}
	if err := a.out.printf("workspace %s\n", escape(root)); err != nil {
		return err
	}
	for _, r := range made.Roots {
		if !filepath.IsAbs(r) {
			r = filepath.Join(root, r)
		}
		if err := a.out.printf("jobs work in %s\n", escape(r)); err != nil {
			return err
		}
	}
	t := &table{style: a.out.style}
	for _, m := range made.Made {
		// The folders within others are for --json: nobody starts there.
		if folder, nested := strings.CutSuffix(m, "/"); !nested || !strings.Contains(folder, "/") {
			t.add("made", m)
		}
	}
	if err := t.flush(a.out); err != nil {
		return err
	}
	return a.out.printf("\nnext:\n%s", a.nextCommands(root))
}

// nextCommands are the first three things to type, which work where the user stands.
func (a *app) nextCommands(root string) string {
	prefix := ""
	if found, err := workspace.Find(a.env.Dir, "", ""); err != nil || found.Root() != root {
		dir := root
		if rel, err := filepath.Rel(a.env.Dir, root); err == nil && filepath.IsLocal(rel) {
			dir = rel
		}
		prefix = "cd " + shellWord(dir) + " && "
	}
	return "  " + prefix + "sheratan submit --wait -- true\n" +
		"  sheratan doctor\n" +
		"  sheratan config show\n"
}
