package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

func newMan(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "man [DIR]",
		Short: "write the manual pages",
		Long: `Writes one manual page for each command into DIR, which is made if it is missing. Without DIR it prints the
page of sheratan itself.`,
		Example: `sheratan man | man -l -
sheratan man ~/.local/share/man/man1`,
		Annotations: exits(),
		Args:        cobra.MaximumNArgs(1),
	}
	c.RunE = a.runFor(func(_ context.Context, cmd *cobra.Command, args []string) error {
		return runMan(a, cmd.Root(), args)
	})
	return c
}

func runMan(a *app, root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return a.out.printf("%s", manualPage(root, a.env.Now().Format("2006-01-02")))
	}
	dir := a.env.path(args[0])
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return bare(args[0], err)
	}
	return writeManual(a, dir, root)
}

// writeManual writes the pages of a command and of those below it.
func writeManual(a *app, dir string, c *cobra.Command) error {
	name := pageName(c) + ".1"
	page := manualPage(c, a.env.Now().Format("2006-01-02"))
	if err := os.WriteFile(filepath.Join(dir, name), []byte(page), 0o644); err != nil {
		return bare(name, err)
	}
	for _, sub := range inOrder(c) {
		if err := writeManual(a, dir, sub); err != nil {
			return err
		}
	}
	return nil
}

func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }
