package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// section is a group of commands in the help.
type section struct {
	id, title string
	commands  []func(*app) *cobra.Command
}

// sections lists all commands in the order in which the help shows them.
func sections() []section {
	return []section{
		{"stages", "Stages of a job", []func(*app) *cobra.Command{
			newSubmit, newGate, newAudit, newDispatch, newRun, newTick, newMCP}},
		{"ask", "Ask", []func(*app) *cobra.Command{
			newJobs, newStatus, newWhy, newWait, newLogs, newArtifacts, newLedger}},
		{"decide", "Decide", []func(*app) *cobra.Command{
			newReview, newApprove, newReject, newRevise, newCancel, newRetry, newPause, newResume}},
		{"upkeep", "Upkeep", []func(*app) *cobra.Command{
			newInit, newAgent, newCache, newMission, newConfig, newPolicy, newKinds, newHost, newRelay, newIndex, newDoctor, newSchema, newVersion, newCompletion, newMan}},
	}
}

const rootLong = `Sheratan lets agents propose work and says afterwards what was done, by whom, on whose authority.

A proposal is a JSON file in the inbox of a workspace. It passes the gates G0 to G4, gets an operator's
decision where the gates ask for one, waits for a slot, runs, and leaves a result in the outbox. Every step is
an event in the ledger, which is committed to git.

Arguments with a slash or ending in .json or .jsonl are files, others are ids of jobs; - reads JSON lines from
stdin.`

// newRoot builds the tree of commands.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "sheratan",
		Short: "a governed job runner",
		Long:  rootLong,
		Example: `sheratan init
sheratan submit --wait -- go vet ./...
sheratan gate --json | sheratan dispatch - --json | sheratan run -`,
		Annotations:       exits(exitNoWorkspace),
		Args:              cobra.ArbitraryArgs,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRun:  func(*cobra.Command, []string) { a.out.setup() },
	}
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(cmd, args[0])
		}
		return a.help(cmd)
	}
	a.global.addFlags(root)
	root.SetOut(a.out)
	root.SetErr(a.env.Stderr)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		a.out.setup()
		_ = a.help(cmd) // a write error stays in a.out and is reported by Run
	})
	root.SetUsageFunc(a.help)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{err, cmd.CommandPath() + " --help"}
	})
	for _, s := range sections() {
		root.AddGroup(&cobra.Group{ID: s.id, Title: s.title})
		for _, build := range s.commands {
			c := build(a)
			c.GroupID = s.id
			addInOrder(root, c)
		}
	}
	root.SetHelpCommand(newHelp(a))
	return root
}

// newHelp is `sheratan help COMMAND`, for those who type it that way.
func newHelp(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    "help [COMMAND]",
		Short:  "show the help of a command",
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil || found == nil || len(rest) > 0 {
				return unknownCommand(cmd.Root(), args[0])
			}
			return a.help(found)
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			if parent, _, err := cmd.Root().Find(args); err == nil {
				for _, c := range parent.Commands() {
					if c.IsAvailableCommand() {
						names = append(names, c.Name()+"\t"+c.Short)
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// family makes a command that only holds others.
func family(c *cobra.Command, members ...*cobra.Command) *cobra.Command {
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(cmd, args[0])
		}
		return &usageError{usagef("%s: which command?", cmd.CommandPath()), cmd.CommandPath() + " --help"}
	}
	c.Annotations = exits()
	for _, m := range members {
		addInOrder(c, m)
	}
	return c
}

// orderKey is the annotation by which inOrder sorts.
const orderKey = "order"

// inOrder returns the visible commands of c as they were added. Cobra sorts its own list by name, unless a variable of
// the whole process says otherwise.
func inOrder(c *cobra.Command) []*cobra.Command {
	var list []*cobra.Command
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			list = append(list, sub)
		}
	}
	slices.SortStableFunc(list, func(x, y *cobra.Command) int {
		return strings.Compare(x.Annotations[orderKey], y.Annotations[orderKey])
	})
	return list
}

// addInOrder adds sub to parent, after those that it has.
func addInOrder(parent, sub *cobra.Command) {
	if sub.Annotations == nil {
		sub.Annotations = map[string]string{}
	}
	sub.Annotations[orderKey] = fmt.Sprintf("%03d", len(parent.Commands()))
	parent.AddCommand(sub)
}
