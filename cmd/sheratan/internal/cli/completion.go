package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
)

func newCompletion(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "completion bash | zsh | fish",
		Short: "print a completion script for a shell",
		Long:  `Prints a script that makes the shell complete commands, flags and the ids of jobs.`,
		Example: `source <(sheratan completion bash)
sheratan completion zsh > "${fpath[1]}/_sheratan"
sheratan completion fish > ~/.config/fish/completions/sheratan.fish`,
		Annotations: exits(),
		Args:        cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs:   []string{"bash", "zsh", "fish"},
	}
	c.RunE = a.runFor(func(_ context.Context, cmd *cobra.Command, args []string) error {
		root := cmd.Root()
		switch args[0] {
		case "zsh":
			return root.GenZshCompletion(a.out)
		case "fish":
			return root.GenFishCompletion(a.out, true)
		}
		return root.GenBashCompletionV2(a.out, true)
	})
	return c
}

// A shell that completes is waiting: it is offered at most so many ids, and nothing where they cannot be had at once.
const (
	maxCompletions  = 100
	completionLimit = time.Second
)

type completer = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// completeJobs offers the ids of jobs in one of the given states, or of all.
func (a *app) completeJobs(status ...string) completer {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionLimit)
		defer cancel()
		a.global.NoCommit = true
		a.people.mute()
		var ids []string
		err := a.with(ctx, func(p *pipeline.Pipeline) error {
			return p.Jobs(ctx, pipeline.JobFilter{Status: status, Limit: maxCompletions}, func(l pipeline.JobLine) error {
				ids = append(ids, l.ID+"\t"+escape(string(l.Status)+" "+l.Payload.Kind))
				return nil
			})
		})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return ids, cobra.ShellCompDirectiveNoFileComp
	}
}

// orFiles offers files too.
func orFiles(complete completer) completer {
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		ids, _ := complete(cmd, args, word)
		return ids, cobra.ShellCompDirectiveDefault
	}
}

// completeWords offers a fixed list.
func completeWords(words ...string) completer {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}
