package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
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
	version := buildVersion()
	header := &doc.GenManHeader{Section: "1", Source: "Sheratan " + version.Version, Manual: "Sheratan manual"}
	if a.env.Getenv("SOURCE_DATE_EPOCH") == "" {
		now := a.env.Now()
		header.Date = &now
	}
	prepareManual(root)
	if len(args) == 0 {
		return doc.GenMan(root, header, a.out)
	}
	dir := a.env.path(args[0])
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := doc.GenManTree(root, header, dir); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return nil
}

// prepareManual puts into the descriptions what the generator has no place for. The tree is not used for anything else
// afterwards.
func prepareManual(c *cobra.Command) {
	c.DisableAutoGenTag = true
	if c.Long == "" {
		c.Long = c.Short + "."
	}
	c.Long += "\n\n# EXIT STATUS\n\n" + exitSection(c)
	for _, sub := range c.Commands() {
		prepareManual(sub)
	}
}
