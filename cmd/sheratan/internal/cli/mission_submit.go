package cli

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline"
	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/pipeline/mission"
)

type missionSubmitOptions struct {
	Params []string
	Run    string
	Source string
	Wait   bool
	Print  bool

	Goal    string
	Model   string
	Rounds  int
	Jobs    int
	Seconds int
}

func newMissionSubmit(a *app) *cobra.Command {
	var o missionSubmitOptions
	c := &cobra.Command{
		Use:   "submit FILE | NAME | --goal TEXT",
		Short: "propose the jobs of a mission",
		Long: `Records the mission in the ledger and puts the proposals of its jobs into the inbox, where they wait for the
gates. NAME is the file missions/NAME.json of the workspace.

The job of a task is called MISSION.TASK. To submit the same mission again give the run a name: with --run 2 the
mission is called MISSION-2. The same command a second time proposes only what an interrupted one left out.

With --goal a model plans the mission: it is asked for jobs, these pass the gates as what came out of a model (a
second opinion or an operator lets them run), and when they are over it is told what came of them and asked for
the next plan, until it says that the goal is reached or the plans, jobs or seconds are used up. config has to
allow the kind llm, and the model in gates.models.`,
		Example: `sheratan mission submit nightly --run 2026-07-01 --param target=./...
sheratan mission submit release.json --wait
sheratan mission submit release.json --print
sheratan mission submit --goal "Find out why the tests fail, and say what to change" --model local --wait`,
		Annotations: workspaceExits(exitBlocked, exitFailed, exitInterrupted),
		Args:        cobra.MaximumNArgs(1),
	}
	f := c.Flags()
	f.StringVar(&o.Goal, "goal", "", "let a model plan for the goal `TEXT`")
	f.StringVar(&o.Model, "model", "", "the model that plans, by its `NAME` in relay.models (default the only one in gates.models)")
	f.IntVar(&o.Rounds, "rounds", 5, "ask for at most `N` plans for a goal")
	f.IntVar(&o.Jobs, "max-jobs", 20, "start at most `N` jobs for a goal, the plans among them; 0 is without limit")
	f.IntVar(&o.Seconds, "max-seconds", 3600, "let jobs run for `N` seconds for a goal, all together; 0 is without limit")
	f.StringArrayVar(&o.Params, "param", nil, "set a parameter, `NAME=VALUE`; one that is no string is JSON")
	f.StringVar(&o.Run, "run", "", "call the mission MISSION-`NAME`")
	f.StringVar(&o.Source, "source", "", "submit as `SOURCE` (default operator)")
	f.BoolVar(&o.Wait, "wait", false, "wait until the mission has ended, and run it if nobody else does")
	f.BoolVar(&o.Print, "print", false, "print the proposals instead of submitting them")
	a.addGrace(c)
	c.ValidArgsFunction = orFiles(a.completeMissionFiles)
	c.RunE = a.run(func(ctx context.Context, args []string) error {
		if err := o.check(c, args); err != nil {
			return err
		}
		return runMissionSubmit(ctx, a, &o, args)
	})
	return c
}

// check refuses options that do not belong together.
func (o *missionSubmitOptions) check(c *cobra.Command, args []string) error {
	if o.Source != "" && !job.ValidID(o.Source) {
		return usagef("--source %q: is no valid name of a source", o.Source)
	}
	if o.Run != "" && !job.ValidID(o.Run) {
		return usagef("--run %q: has 1 to 64 of A-Z a-z 0-9 . _ - and begins with a letter or digit", o.Run)
	}
	switch goal := c.Flags().Changed("goal"); {
	case goal && len(args) > 0:
		return usagef("either a mission or --goal, not both")
	case goal && len(o.Params) > 0:
		return usagef("--param: a goal has no parameters")
	case goal && (o.Rounds < 1 || o.Rounds > mission.MaxRounds):
		return usagef("--rounds %d: want 1 to %d", o.Rounds, mission.MaxRounds)
	case goal && min(o.Jobs, o.Seconds) < 0:
		return usagef("--max-jobs and --max-seconds: want 0 or more")
	case !goal && len(args) == 0:
		return usagef("name a mission, its file, or a goal with --goal")
	}
	for _, name := range []string{"model", "rounds", "max-jobs", "max-seconds"} {
		if c.Flags().Changed(name) && !c.Flags().Changed("goal") {
			return usagef("--%s: goes with --goal only", name)
		}
	}
	return nil
}

// run makes the run that is to be submitted, and says what it is called in messages.
func (o *missionSubmitOptions) run(ctx context.Context, a *app, args []string) (run *mission.Run, name string, err error) {
	if len(args) == 0 {
		err = a.with(ctx, func(p *pipeline.Pipeline) error {
			run, err = p.GoalRun(ctx, mission.Goal{Text: o.Goal, Model: o.Model, Rounds: o.Rounds}, o.Run, cmp.Or(o.Source, sourceOperator),
				mission.Budget{Jobs: o.Jobs, Seconds: o.Seconds})
			return inMission("--goal", err)
		})
		return run, "--goal", err
	}
	name, path := args[0], a.env.path(args[0])
	if !isPath(args[0]) {
		ws, err := a.find()
		if err != nil {
			return nil, "", err
		}
		path = filepath.Join(ws.Missions(), args[0]+".json")
		name = ws.Rel(path)
	}
	run, err = expandMission(o, name, path)
	return run, name, err
}

func runMissionSubmit(ctx context.Context, a *app, o *missionSubmitOptions, args []string) error {
	run, name, err := o.run(ctx, a, args)
	if err != nil {
		return err
	}
	if o.Print {
		for _, doc := range run.Proposals {
			if err := a.out.printf("%s\n", doc); err != nil {
				return err
			}
		}
		return nil
	}
	if err := a.refuseFollowUp("mission submit"); err != nil {
		return err
	}
	return a.with(ctx, func(p *pipeline.Pipeline) error {
		err := p.SubmitMission(ctx, name, run, func(s pipeline.Submitted) error {
			if o.Wait {
				return nil
			}
			return a.show(s, escape(s.JobID)+"\n")
		})
		if err != nil {
			return err
		}
		if o.Wait {
			return followMission(ctx, a, p, run.ID, pipeline.WaitOptions{Drive: true})
		}
		if a.env.StderrTTY {
			a.people.hint("sheratan tick")
		}
		return nil
	})
}

// expandMission reads a mission and makes a run of it.
func expandMission(o *missionSubmitOptions, name, path string) (*mission.Run, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, hint(bare(name, err), "sheratan schema mission says what such a file is like")
	}
	if err != nil {
		return nil, bare(name, err)
	}
	m, err := mission.Parse(data)
	var run *mission.Run
	if err == nil {
		var values map[string]any
		if values, err = m.Values(o.Params); err == nil {
			run, err = m.Expand(o.Run, cmp.Or(o.Source, sourceOperator), values)
		}
	}
	return run, inMission(name, err)
}

// inMission makes a message of what is wrong with a mission.
func inMission(name string, err error) error {
	fault, ok := errors.AsType[*mission.Error](err)
	if !ok {
		return err
	}
	return &pipeline.InputError{File: name, Line: fault.Line, Column: fault.Column, Pointer: fault.Pointer, Message: fault.Message,
		Way: "sheratan schema mission"}
}
