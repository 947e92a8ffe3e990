package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sheratan/sheratan/pipeline"
)

// margin stands before each line of a file, so that no line of one looks like a line of ours.
const margin = "| "

// shownTexts are the params that hold texts of files, with the mark of their lines where the text has none of its own.
var shownTexts = []struct{ name, mark string }{{"diff", ""}, {"old", "-"}, {"new", "+"}, {"content", "+"}}

// proposalText is the whole proposal for a person. Texts of files that are longer than a line are shown below it, line by
// line, instead of as one string in which the lines are hard to see.
func proposalText(r pipeline.Review) string {
	if len(r.Proposal) == 0 {
		return indentJSON(r.Job.Payload.Params)
	}
	proposal := string(r.Proposal)
	var params map[string]any
	if !strings.HasPrefix(r.Job.Payload.Kind, "file_") || json.Unmarshal(r.Job.Payload.Params, &params) != nil {
		return escapeBlock(proposal)
	}
	var below strings.Builder
	for _, t := range shownTexts {
		text, ok := params[t.name].(string)
		if !ok || !strings.Contains(text, "\n") {
			continue
		}
		shown, ok := moved(proposal, t.name, text)
		if !ok {
			continue
		}
		proposal = shown
		fmt.Fprintf(&below, "%s:\n%s", t.name, fileLines(text, t.mark))
	}
	return escapeBlock(proposal) + below.String()
}

// moved takes the text out of an indented proposal and leaves a note that no JSON can be mistaken for.
func moved(proposal, name, text string) (string, bool) {
	before, rest, ok := strings.Cut(proposal, "\n      \""+name+"\": ")
	if !ok {
		return "", false
	}
	value, after, ok := strings.Cut(rest, "\n")
	value, comma := strings.CutSuffix(value, ",")
	var said string
	if !ok || json.Unmarshal([]byte(value), &said) != nil || said != text {
		return "", false
	}
	note := fmt.Sprintf("(%d lines, shown below)", strings.Count(strings.TrimSuffix(text, "\n"), "\n")+1)
	if comma {
		note += ","
	}
	return before + "\n      \"" + name + "\": " + note + "\n" + after, true
}

// fileLines is a text with a margin, escaped for a terminal.
func fileLines(text, mark string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(margin + mark + escapeBlock(strings.TrimSuffix(line, "\n")) + "\n")
	}
	if !strings.HasSuffix(text, "\n") {
		b.WriteString("(without a line break at its end)\n")
	}
	return b.String()
}

// paintChange colours the lines of a file as in a diff.
func paintChange(line string) func(style, string) string {
	rest, ok := strings.CutPrefix(line, margin)
	switch {
	case !ok || rest == "":
		return nil
	case rest[0] == '+':
		return style.green
	case rest[0] == '-':
		return style.red
	case rest[0] == '@':
		return style.dim
	}
	return nil
}
