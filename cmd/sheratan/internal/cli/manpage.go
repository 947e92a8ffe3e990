package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manualPage writes the page of a command in the man macros of roff. Cobra's own generator goes through Markdown, which
// takes the * of a pattern for emphasis, and costs every command of this program half a millisecond to start.
func manualPage(c *cobra.Command, date string) string {
	p := &page{}
	p.macro("TH", strings.ToUpper(pageName(c)), "1", date, "Sheratan "+buildVersion().Version, "Sheratan manual")
	p.macro("SH", "NAME")
	p.text(pageName(c) + " - " + c.Short)
	p.macro("SH", "SYNOPSIS")
	p.literal(usageLines(c))
	if c.Long != "" {
		p.macro("SH", "DESCRIPTION")
		p.text(c.Long)
	}
	if list := inOrder(c); len(list) > 0 {
		p.macro("SH", "COMMANDS")
		for _, sub := range list {
			p.item(sub.Name(), sub.Short+". See "+pageName(sub)+"(1).")
		}
	}
	c.InitDefaultHelpFlag()
	p.flags("OPTIONS", c.LocalFlags())
	p.flags("OPTIONS OF EVERY COMMAND", c.InheritedFlags())
	if c.Example != "" {
		p.macro("SH", "EXAMPLES")
		p.literal(strings.Split(c.Example, "\n"))
	}
	p.macro("SH", "EXIT STATUS")
	for _, word := range strings.Fields(c.Annotations[exitsKey]) {
		code, _ := strconv.Atoi(word)
		p.item(word, exitTexts[code]+".")
	}
	if parent := c.Parent(); parent != nil {
		p.macro("SH", "SEE ALSO")
		p.text(pageName(parent) + "(1)")
	}
	return p.String()
}

// page is roff text in the making.
type page struct{ strings.Builder }

func (p *page) macro(name string, args ...string) {
	p.WriteString("." + name)
	for _, a := range args {
		p.WriteString(` "` + strings.ReplaceAll(roff(a), `"`, `\(dq`) + `"`)
	}
	p.WriteByte('\n')
}

// text writes paragraphs.
func (p *page) text(s string) {
	for i, paragraph := range strings.Split(s, "\n\n") {
		if i > 0 {
			p.WriteString(".PP\n")
		}
		for line := range strings.SplitSeq(paragraph, "\n") {
			p.WriteString(roff(line) + "\n")
		}
	}
}

// literal writes lines that are not to be filled.
func (p *page) literal(lines []string) {
	p.WriteString(".nf\n")
	for _, l := range lines {
		p.WriteString(roff(l) + "\n")
	}
	p.WriteString(".fi\n")
}

func (p *page) item(term, text string) {
	fmt.Fprintf(p, ".TP\n\\fB%s\\fR\n%s\n", roff(term), roff(text))
}

func (p *page) flags(title string, set *pflag.FlagSet) {
	if !set.HasAvailableFlags() {
		return
	}
	p.macro("SH", title)
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		name, text := pflag.UnquoteUsage(f)
		term := "--" + f.Name
		if f.Shorthand != "" {
			term = "-" + f.Shorthand + ", " + term
		}
		if name != "" {
			term += " " + name
		}
		p.item(term, text)
	})
}

// roff escapes a line of text: backslashes, hyphens that are to be copied as such, and what would begin a request.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, `-`, `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}
