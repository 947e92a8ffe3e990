package cli

import (
	"strings"
	"unicode/utf8"
)

// style colours text for a terminal; the zero value leaves it as it is.
type style struct{ on bool }

func (s style) paint(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) bold(t string) string   { return s.paint("1", t) }
func (s style) dim(t string) string    { return s.paint("2", t) }
func (s style) red(t string) string    { return s.paint("31", t) }
func (s style) green(t string) string  { return s.paint("32", t) }
func (s style) yellow(t string) string { return s.paint("33", t) }

// word colours a word that says how things are: a status, a verdict, the result of a check.
func (s style) word(t string) string {
	switch t {
	case "completed", "approved", "PASS", "ALLOW", "ok", "allow", "online":
		return s.green(t)
	case "failed", "quarantined", "blocked", "FAIL", "QUARANTINE", "bad", "forbid", "offline":
		return s.red(t)
	case "throttled", "running", "WARN", "PAUSE", "REQUIRE_OPERATOR_ACK", "REQUIRE_LLM2", "warn", "ask", "paused", "busy":
		return s.yellow(t)
	case "cancelled":
		return s.dim(t)
	}
	return t
}

// pad paints a word and fills it up to width columns, which colour codes do not count for.
func (s style) pad(word string, width int) string {
	return s.word(word) + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(word)))
}
