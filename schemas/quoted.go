package schemas

import (
	"encoding/json"
	"fmt"
)

// markBytes is how much of its digest marks a quoted value.
const markBytes = 16

// Quoted prints a value for a language model, as data that cannot be taken for anything else: indented JSON between two lines that
// carry the beginning of its own digest. Nobody can write a text that has its own digest in it, no string of JSON begins
// a line, and the same value is always quoted in the same way.
func Quoted(name string, v any) (string, error) {
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return "", err
	}
	mark := Digest(text)[:2*markBytes]
	return fmt.Sprintf("===== %s %s\n%s\n===== END OF %s %s\n", name, mark, text, name, mark), nil
}
