package cli

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sheratan/sheratan/pipeline/rules"
	"github.com/sheratan/sheratan/runtime/workspace"
)

// agentLine is what agent list prints with --json of one agent.
type agentLine struct {
	Agent   string `json:"agent"`
	UID     int    `json:"uid"`
	User    string `json:"user"`
	Inbox   string `json:"inbox"`
	Replies string `json:"replies"`
}

func newAgent(a *app) *cobra.Command {
	add := &cobra.Command{
		Use:   "add USER...",
		Short: "give a user an inbox and replies of its own",
		Long: `Makes runtime/inbox/USER/ and runtime/outbox/replies/USER/ for a user of this machine, and nothing else of the workspace
is open to it. In the config the source USER gets an entry of its own where it has none. Only root can do that.`,
		Example:     `sudo sheratan agent add crawler`,
		Annotations: exits(exitNoWorkspace),
		Args:        cobra.MinimumNArgs(1),
		RunE:        a.run(func(ctx context.Context, args []string) error { return runAgentAdd(ctx, a, args) }),
	}
	list := &cobra.Command{
		Use:         "list",
		Short:       "list the agents with a user of their own",
		Long:        `Lists the sources whose inbox belongs to another user than the operator.`,
		Example:     `sheratan agent list`,
		Annotations: exits(exitNoWorkspace),
		Args:        cobra.NoArgs,
		RunE:        a.run(func(context.Context, []string) error { return runAgentList(a) }),
	}
	remove := &cobra.Command{
		Use:   "remove USER...",
		Short: "close the inbox and the replies of a user",
		Long: `Closes both folders to the user, and gives them to the operator with what lies in them: what was proposed before is
still taken. The entry of the source in the config stays. Only root can do that.`,
		Example:     `sudo sheratan agent remove crawler`,
		Annotations: exits(exitNoWorkspace),
		Args:        cobra.MinimumNArgs(1),
		RunE: a.run(func(_ context.Context, args []string) error {
			ws, operator, err := a.operatorHere()
			if err != nil {
				return err
			}
			for _, name := range args {
				if err := ws.RemoveAgent(name, operator); err != nil {
					return err
				}
				a.people.note("%s: can no longer propose, nor read its answers", name)
			}
			return nil
		}),
	}
	return family(&cobra.Command{
		Use:   "agent",
		Short: "agents with a user of their own",
		Long: `An agent that runs as a user of its own can propose and read its answers, and cannot decide, whatever it runs: the
operating system keeps it apart.`,
		Example: `sudo sheratan agent add crawler
sheratan agent list`,
	}, add, list, remove)
}

// operatorHere is the workspace and the user whom it belongs to.
func (a *app) operatorHere() (*workspace.Workspace, workspace.Owner, error) {
	if err := a.refuseInsideJob("agent"); err != nil {
		return nil, workspace.Owner{}, err
	}
	ws, err := a.find()
	if err != nil {
		return nil, workspace.Owner{}, err
	}
	operator, err := ws.Operator()
	return ws, operator, err
}

func runAgentAdd(ctx context.Context, a *app, names []string) error {
	ws, operator, err := a.operatorHere()
	if err != nil {
		return err
	}
	for _, name := range names {
		agent, warning, err := ws.AgentUser(name, operator.UID)
		if err != nil {
			return err
		}
		if err := rules.AddSource(ctx, ws, name); err != nil {
			return err
		}
		if err := ws.AddAgent(agent, operator); err != nil {
			return err
		}
		if warning != "" {
			a.people.warn("%s", warning)
		}
		if err := a.printAgent(ws, agent); err != nil {
			return err
		}
	}
	return nil
}

func runAgentList(a *app) error {
	ws, err := a.find()
	if err != nil {
		return err
	}
	agents, err := ws.AgentUsers()
	if err != nil {
		return err
	}
	for _, agent := range agents {
		if err := a.printAgent(ws, agent); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printAgent(ws *workspace.Workspace, agent workspace.Agent) error {
	l := agentLine{Agent: agent.Name, UID: agent.UID, Inbox: ws.InboxOf(agent.Name), Replies: ws.Replies(agent.Name)}
	if u, err := user.LookupId(strconv.Itoa(agent.UID)); err == nil {
		l.User = u.Username
	}
	if a.global.JSON {
		return a.out.line(l)
	}
	return a.out.printf("%s  uid %d  proposes in %s/, answers in %s/\n", escape(l.Agent), l.UID, escape(l.Inbox), escape(l.Replies))
}

// operator is the user that init makes a workspace for: the one who is named, or who called sudo. nil is this one.
func (a *app) operator(name string) (*workspace.Owner, error) {
	if name == "" && os.Geteuid() == 0 {
		name = a.env.Getenv("SUDO_USER")
	}
	if name == "" {
		return nil, nil
	}
	owner, err := workspace.LookupOwner(name)
	if err != nil {
		return nil, fmt.Errorf("--operator: %w", err)
	}
	return owner, nil
}
