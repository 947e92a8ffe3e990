package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sheratan/sheratan/gates"
)

// escape makes one line of untrusted text safe for a terminal and honest to a reader: control characters, invalid
// UTF-8, and what is invisible or turns the direction of writing are shown as \x1b, \u202e, \U000e0041. A backslash is
// left alone: the result is for reading, not for parsing.
func escape(s string) string { return escapeExcept(s, "") }

// escapeBlock is escape for text of several lines: newlines and tabs stay.
func escapeBlock(s string) string { return escapeExcept(s, "\n\t") }

// escapeOutput is escapeBlock for what a job has written, about which nobody decides: spaces of other kinds stay too.
func escapeOutput(s string) string { return escapeExcept(s, "\n\t"+spaces) }

func escapeExcept(s, keep string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n <= 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case strings.ContainsRune(keep, r) || !deceives(r):
			b.WriteString(s[i : i+n])
		default:
			writeEscaped(&b, r)
		}
		i += n
	}
	return b.String()
}

func writeEscaped(b *strings.Builder, r rune) {
	switch {
	case r == '\n':
		b.WriteString(`\n`)
	case r == '\t':
		b.WriteString(`\t`)
	case r < 0x80:
		fmt.Fprintf(b, `\x%02x`, r)
	case r < 0x10000:
		fmt.Fprintf(b, `\u%04x`, r)
	default:
		fmt.Fprintf(b, `\U%08x`, r)
	}
}

// spaces look like U+0020 and are others. U+3000 is as wide as the letters that it stands between.
const spaces = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f"

// deceives reports whether r does something to a terminal or a reader instead of being seen as what it is: controls (C0, C1, DEL),
// what is not drawn (bidi, zero width, tags, selectors, fillers), line and paragraph separators, private use, other spaces.
func deceives(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co) || gates.Unseen(r) || strings.ContainsRune(spaces, r)
}

// plain reports whether s is printable ASCII, which most text is.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// jsonTerminal writes JSON text to a terminal. What escape would show is replaced by a JSON escape: such characters
// stand only inside strings, so the text means the same.
type jsonTerminal struct{ w io.Writer }

func (t jsonTerminal) Write(p []byte) (int, error) {
	s := string(p)
	if plain(strings.TrimSuffix(s, "\n")) {
		return t.w.Write(p)
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || !deceives(r):
			b.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		}
	}
	if _, err := io.WriteString(t.w, b.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}
