package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// Annotations of commands that the help reads.
const (
	exitsKey = "exits" // the exit codes, separated by spaces
	usageKey = "usage" // further usage lines, one per line, without the name of the program
)

// exits makes the annotation with the exit codes of a command; every command has 0, 1 and 64.
func exits(codes ...int) map[string]string {
	codes = append(codes, exitDone, exitError, exitUsage)
	slices.Sort(codes)
	words := make([]string, 0, len(codes))
	for _, c := range slices.Compact(codes) {
		words = append(words, strconv.Itoa(c))
	}
	return map[string]string{exitsKey: strings.Join(words, " ")}
}

// workspaceExits is exits for a command that needs a workspace and its ledger.
func workspaceExits(codes ...int) map[string]string {
	return exits(append(codes, exitNoWorkspace, exitTampered)...)
}

// usage adds further usage lines to the annotations of a command.
func usage(annotations map[string]string, lines ...string) map[string]string {
	annotations[usageKey] = strings.Join(lines, "\n")
	return annotations
}

// helpWidth is the number of columns that help texts keep to.
const helpWidth = 120

// help prints the help of cmd to stdout.
func (a *app) help(cmd *cobra.Command) error {
	h := &helpText{style: a.out.style}
	h.print(cmd)
	_, err := a.out.Write([]byte(h.String()))
	return err
}

// helpText builds one help text.
type helpText struct {
	strings.Builder
	style style
}

func (h *helpText) print(cmd *cobra.Command) {
	cmd.InitDefaultHelpFlag()
	cmd.Flags().Lookup("help").Usage = "show this help"
	fmt.Fprintf(h, "%s: %s\n", h.style.bold(cmd.CommandPath()), cmd.Short)
	h.heading("Usage")
	for _, line := range usageLines(cmd) {
		fmt.Fprintf(h, "  %s\n", line)
	}
	if cmd.Long != "" {
		fmt.Fprintf(h, "\n%s\n", cmd.Long)
	}
	h.commands(cmd)
	h.heading("Flags")
	h.WriteString(cmd.LocalFlags().FlagUsagesWrapped(helpWidth))
	if global := cmd.InheritedFlags().FlagUsagesWrapped(helpWidth); global != "" {
		h.heading("Flags of every command")
		h.WriteString(global)
	}
	if cmd.Example != "" {
		h.heading("Examples")
		for _, line := range strings.Split(cmd.Example, "\n") {
			fmt.Fprintf(h, "  %s\n", line)
		}
	}
	h.heading("Exit codes")
	for _, word := range strings.Fields(cmd.Annotations[exitsKey]) {
		code, _ := strconv.Atoi(word)
		fmt.Fprintf(h, "  %-3d  %s\n", code, exitTexts[code])
	}
}

func (h *helpText) heading(title string) { fmt.Fprintf(h, "\n%s\n", h.style.bold(title+":")) }

// commands lists the commands of cmd, in sections where it has any.
func (h *helpText) commands(cmd *cobra.Command) {
	list := inOrder(cmd)
	if len(list) == 0 {
		return
	}
	width := 0
	for _, c := range list {
		width = max(width, len(c.Name()))
	}
	last := "-"
	for _, c := range list {
		if c.GroupID != last {
			h.heading(sectionTitle(c.GroupID))
			last = c.GroupID
		}
		fmt.Fprintf(h, "  %-*s  %s\n", width, c.Name(), c.Short)
	}
}

func sectionTitle(id string) string {
	for _, s := range sections() {
		if s.id == id {
			return s.title
		}
	}
	return "Commands"
}

// usageLines returns the ways to call cmd.
func usageLines(cmd *cobra.Command) []string {
	lines := []string{cmd.UseLine()}
	if cmd.HasAvailableSubCommands() {
		lines = []string{cmd.CommandPath() + " COMMAND [flags]"}
	}
	if more := cmd.Annotations[usageKey]; more != "" {
		for _, l := range strings.Split(more, "\n") {
			lines = append(lines, cmd.CommandPath()+" "+l)
		}
	}
	return lines
}
