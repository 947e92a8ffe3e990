package cli

import (
	"io"
	"unicode/utf8"
)

// textTerminal writes the output of a job to a terminal. A character that is cut in two by a write is put together.
type textTerminal struct {
	w    io.Writer
	rest []byte
}

func (t *textTerminal) Write(p []byte) (int, error) {
	text := append(t.rest, p...)
	end := len(text)
	for i := 1; i < utf8.UTFMax && i <= len(text); i++ {
		if b := text[len(text)-i]; utf8.RuneStart(b) {
			if b >= utf8.RuneSelf && !utf8.FullRune(text[len(text)-i:]) {
				end -= i
			}
			break
		}
	}
	t.rest = append([]byte(nil), text[end:]...)
	if _, err := io.WriteString(t.w, escapeOutput(string(text[:end]))); err != nil {
		return 0, err
	}
	return len(p), nil
}
