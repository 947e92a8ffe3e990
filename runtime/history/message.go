package history

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Trailers that Commit adds itself, in front of those it is given.
const (
	ledgerSizeTrailer    = "Ledger-Size"
	documentsSizeTrailer = "Documents-Size"
)

// Trailer is one "Key: value" line at the end of a commit message, as git interpret-trailers knows them.
type Trailer struct{ Key, Value string }

var trailerKey = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*$`)

const (
	maxSubject = 120  // characters
	maxValue   = 1000 // bytes
)

// FormatMessage prints a commit message: the subject, made fit for one line, and the trailers after an empty line. A
// trailer that is not one line of printable text is an error, and so is one without a value.
func FormatMessage(subject string, trailers []Trailer) (string, error) {
	var b strings.Builder
	b.WriteString(cleanSubject(subject))
	b.WriteByte('\n')
	for i, t := range trailers {
		if !trailerKey.MatchString(t.Key) {
			return "", fmt.Errorf("trailer %q: not a trailer name", t.Key)
		}
		if t.Value == "" || len(t.Value) > maxValue || cleanLine(t.Value) != t.Value {
			return "", fmt.Errorf("trailer %s: %.80q is not one short line of printable text", t.Key, t.Value)
		}
		if i == 0 {
			b.WriteByte('\n')
		}
		b.WriteString(t.Key + ": " + t.Value + "\n")
	}
	return b.String(), nil
}

// ParseMessage takes apart what FormatMessage printed, and rejects everything else.
func ParseMessage(message string) (subject string, trailers []Trailer, err error) {
	subject, rest, _ := strings.Cut(message, "\n")
	if rest != "" {
		lines, ok := strings.CutPrefix(rest, "\n")
		if !ok || lines == "" {
			return "", nil, fmt.Errorf("message %.80q: no empty line after the subject", message)
		}
		for line := range strings.Lines(lines) {
			key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			if !ok {
				return "", nil, fmt.Errorf("message line %.80q: not a trailer", line)
			}
			trailers = append(trailers, Trailer{key, value})
		}
	}
	again, err := FormatMessage(subject, trailers)
	if err != nil {
		return "", nil, err
	}
	if again != message {
		return "", nil, fmt.Errorf("message %.80q: not in the form of this program", message)
	}
	return subject, trailers, nil
}

// sizes reads the numbers of lines that a commit says it holds.
func sizes(trailers []Trailer) (ledger, documents int64, err error) {
	ledger, documents = -1, -1
	for _, t := range trailers {
		var n *int64
		switch t.Key {
		case ledgerSizeTrailer:
			n = &ledger
		case documentsSizeTrailer:
			n = &documents
		default:
			continue
		}
		if *n >= 0 {
			return 0, 0, fmt.Errorf("trailer %s: given twice", t.Key)
		}
		v, err := strconv.ParseInt(t.Value, 10, 64)
		if err != nil || v < 0 || strconv.FormatInt(v, 10) != t.Value {
			return 0, 0, fmt.Errorf("trailer %s: %q is not a size", t.Key, t.Value)
		}
		*n = v
	}
	if ledger < 0 || documents < 0 {
		return 0, 0, fmt.Errorf("trailers %s and %s: missing", ledgerSizeTrailer, documentsSizeTrailer)
	}
	return ledger, documents, nil
}

func cleanSubject(s string) string {
	s = cleanLine(s)
	if runes := []rune(s); len(runes) > maxSubject {
		s = strings.TrimRight(string(runes[:maxSubject-1]), " ") + "…"
	}
	if s == "" {
		s = "ledger"
	}
	return s
}

// cleanLine replaces everything a terminal or a reader could be misled by: control and format characters (bidi, zero
// width), line separators, bytes that are not UTF-8.
func cleanLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}
