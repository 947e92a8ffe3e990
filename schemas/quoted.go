package schemas

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
)

// markBytes is how much of its digest marks a quoted value.
const markBytes = 16

// Quoted prints a value for a language model, as data that cannot be taken for anything else: indented JSON between two lines that
// carry the beginning of its own digest. Nobody can write a text that has its own digest in it, no string of JSON begins
// a line, and the same value is always quoted in the same way. What a person would not see stands as an escape: models read it.
func Quoted(name string, v any) (string, error) {
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return "", err
	}
	shown := escapeHidden(string(text))
	mark := Digest([]byte(shown))[:2*markBytes]
	return fmt.Sprintf("===== %s %s\n%s\n===== END OF %s %s\n", name, mark, shown, name, mark), nil
}

// escapeHidden writes what is not drawn in a JSON text as JSON escapes. It stands only inside of strings there.
func escapeHidden(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r < 0x7f || unicode.IsGraphic(r) && !unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
