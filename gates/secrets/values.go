package secrets

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/sheratan/sheratan/gates/words"
)

// The functions below judge a value: may it be a secret, or does it only stand for one?

// valueChar reports whether a character may be part of a value, in this quotation mark or in none.
func valueChar(c, quote byte) bool {
	if quote != 0 {
		return c != quote && c >= ' ' && c != 0x7f
	}
	return bareChars[c]
}

// bareChars are those of a value without quotation marks.
var bareChars = func() *alphabet {
	var a alphabet
	for c := ' ' + 1; c < 0x100; c++ {
		a[c] = c != 0x7f && !strings.ContainsRune("\"'`,;()[]{}<>|", c)
	}
	return &a
}()

// expression reports whether an unquoted value reads like a name in a program: cfg.Password1, os.Args, db_password. Parts of more
// than fifteen characters with digits among them are none that somebody would give a name to.
func expression(value []byte) bool {
	if len(value) > longestName {
		return false
	}
	body := bytes.TrimRight(value, digits)
	inner, dots := false, 0
	for part := range bytes.SplitSeq(value, []byte{'.'}) {
		dots++
		for i, c := range part {
			if !wordChars[c] || i == 0 && numerals[c] {
				return false
			}
			inner = inner || numerals[c] && i < len(part)-2 && len(part) > 15
		}
	}
	if inner && named(value) {
		return true
	}
	if inner || drawn(value) {
		return false
	}
	return dots > 1 || named(value) || len(value)-len(body) <= 2 && !bytes.ContainsAny(body, digits)
}

// longestName is how long an expression is that somebody would write without a sign in between.
const longestName = 100

// named reports whether an identifier that begins as those of variables do has a word for secrets in it: testRSA2048PrivateKey.
func named(value []byte) bool {
	if len(value) == 0 || kindOf(value[0]) != 0 {
		return false
	}
	low := bytes.ToLower(value)
	for _, word := range []string{"key", "token", "secret", "password", "credential"} {
		if bytes.Contains(low, []byte(word)) && (bytes.ContainsAny(value, upper) || bytes.IndexByte(value, '_') > 0) {
			return true
		}
	}
	return false
}

// leastEntropy is in bits per character. English words have about 2.8 at these lengths, random hexadecimal digits 3.3
// and more. A password of characters of three kinds is told by these, and may repeat some.
const leastEntropy, leastEntropyMixed = 3.0, 2.5

// secretLike reports whether a value may be a secret: long and irregular enough, letters and digits, no placeholder.
func secretLike(value []byte) bool {
	return len(value) >= 10 && irregular(value) && !placeholder(value) && !isPath(value) && !isRelease(value)
}

// irregular reports whether the characters of a value look drawn. It is what tells most values apart, and costs the least.
func irregular(value []byte) bool {
	n, spaces := tally(value)
	if spaces || n[0]+n[1] == 0 || n[2] == 0 && !looksDrawn(n) {
		return false
	}
	if n[0] > 0 && n[1] > 0 && n[2] > 0 {
		return entropy(value) >= leastEntropyMixed
	}
	return entropy(value) >= leastEntropy
}

// entropy is that of the characters of a value, in bits for each.
func entropy(value []byte) float64 {
	var count [256]int
	for _, c := range value {
		count[c]++
	}
	bits := 0.0
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(value))
			bits -= p * math.Log2(p)
		}
	}
	return bits
}

// kindTable has the kind of each character: lower case, upper case, digits, others.
var kindTable = func() (kinds [256]uint8) {
	for c := range kinds {
		switch {
		case numerals[c]:
			kinds[c] = 2
		case c >= 'a' && c <= 'z':
			kinds[c] = 0
		case c >= 'A' && c <= 'Z':
			kinds[c] = 1
		default:
			kinds[c] = 3
		}
	}
	return kinds
}()

func kindOf(c byte) int { return int(kindTable[c]) }

// drawn reports whether the letters of a value look drawn at random: it is long, and no case is rare. In names that are put
// together from words fewer than a quarter of the letters are capitals.
func drawn(value []byte) bool {
	n, _ := tally(value)
	return looksDrawn(n)
}

// tally counts lower case, upper case, digits and others, and reports whether there are spaces.
func tally(value []byte) (n [4]int, spaces bool) {
	for _, c := range value {
		n[kindTable[c]&3]++
		spaces = spaces || c == ' '
	}
	return n, spaces
}

// looksDrawn is drawn for a tally.
func looksDrawn(n [4]int) bool {
	letters := n[0] + n[1]
	return letters+n[2]+n[3] >= 20 && 10*n[1] >= 3*letters && 10*n[0] >= 2*letters
}

// isPath reports whether a value names a file, as in password_file=/run/secrets/db1. Base64 begins with a slash too now and then: a
// long part of letters of both cases and digits is none of a path.
func isPath(value []byte) bool {
	for _, end := range []string{".pem", ".key", ".crt", ".json", ".yaml", ".yml", ".txt", ".p12", ".jks", ".toml", ".env", ".go", ".py", ".js"} {
		if bytes.HasSuffix(value, []byte(end)) {
			return true
		}
	}
	for _, start := range []string{"./", "../", "~/", "file:"} {
		if bytes.HasPrefix(value, []byte(start)) {
			return true
		}
	}
	if !bytes.HasPrefix(value, []byte("/")) {
		return false
	}
	for part := range bytes.SplitSeq(value, []byte("/")) {
		if len(part) > 15 && bytes.ContainsAny(part, digits) && bytes.ContainsAny(part, lower) && bytes.ContainsAny(part, upper) {
			return false
		}
	}
	return !bytes.HasSuffix(value, []byte("="))
}

// placeholders are parts of values that stand for one.
var placeholders = []string{"example", "changeme", "change-me", "change_me", "placeholder", "your", "xxxxxx", "***", "...", "###",
	"dummy", "redacted", "fake", "not-a-secret", "notasecret", "${", "$(", "process.env", "os.environ", "getenv"}

// documented are credentials that standards and manuals show, and that open nothing.
var documented = map[string]bool{
	"QWxhZGRpbjpvcGVuIHNlc2FtZQ==": true, "QWxhZGRpbjpPcGVuU2VzYW1l": true, // RFC 7617 and MDN
	"YWxhZGRpbjpvcGVuc2VzYW1l": true, "dGVzdDoxMjPCow==": true, // RFC 7617
	"czZCaGRSa3F0MzpnWDFmQmF0M2JW": true,                                 // RFC 6749
	"mF_9.B5f-4.1JqM":              true, "2YotnFZFEjr1zCsicMWpAA": true, // RFC 6750, RFC 6749
	"tGzv3JOkF0XG5Qx2TlKWIA": true, "SplxlOBeZQQYbYS6WxSbIA": true, // RFC 6749
}

// references begin values that say where a secret lies.
var references = []string{"op://", "vault:", "arn:", "ssm:", "ref+", "sops:", "keyring:", "enc["}

// placeholder reports whether a value only stands for a secret.
func placeholder(value []byte) bool {
	if len(value) > 0 && value[0] == '$' || isDate(value) || documented[string(value)] || template(value) {
		return true
	}
	if len(value) <= 20 {
		switch strings.ToLower(strings.Trim(string(value), "<>[]{}()%$")) {
		case "password", "passwd", "apikey", "api_key", "api-key", "opensesame", "secretpassword", "pass", "secret", "user", "test", "postgres", "root", "pw", "pwd",
			"token", "x", "xxx", "***", "s", "v", "q", "d":
			return true
		}
	}
	found := false
	placeholderWords().Scan(value, func(word, at int) bool {
		found = word < len(placeholders) || at == 0
		return !found
	})
	return found
}

// placeholderWords finds placeholders, and references behind them, in one pass: values overlap where names follow one another, and each is
// looked at.
var placeholderWords = sync.OnceValue(func() *words.Set { return words.New(slices.Concat(placeholders, references)) })

// isDate reports whether a value begins with a date, 2026-11-27.
func isDate(value []byte) bool {
	if len(value) < 10 || value[4] != '-' || value[7] != '-' {
		return false
	}
	for _, i := range []int{0, 1, 2, 3, 5, 6, 8, 9} {
		if !numerals[value[i]] {
			return false
		}
	}
	return true
}

// template reports whether a value has a part that something fills in: {{ name }} or <name>.
func template(value []byte) bool {
	for _, marks := range [][2]string{{"{{", "}}"}, {"<", ">"}, {"%(", ")s"}} {
		i := bytes.Index(value, []byte(marks[0]))
		if i < 0 {
			continue
		}
		inner := value[i+len(marks[0]):]
		if end := bytes.Index(inner, []byte(marks[1])); end > 0 && run(inner, 0, templateChars, 0) >= end {
			return true
		}
	}
	return false
}

var templateChars = letters(lower + upper + digits + " _-.|:$/'\"")

// isRelease reports whether a value is the name of a package with its release, as jackson-core-2.11.2.
func isRelease(value []byte) bool {
	i := bytes.LastIndexAny(value, "-@/:")
	if i <= 0 || i == len(value)-1 {
		return false
	}
	for _, c := range value[:i] {
		if c >= 'A' && c <= 'Z' {
			return false
		}
	}
	dots := 0
	for _, c := range bytes.TrimPrefix(value[i+1:], []byte("v")) {
		if c == '.' {
			dots++
		} else if !numerals[c] {
			return false
		}
	}
	return dots > 0
}

// strong reports whether a value is more than a name with a digit: all kinds of letters, or long. Where many things stand that are no
// secrets, only such a one counts.
func strong(value []byte) bool {
	return len(value) >= 20 || bytes.ContainsAny(value, lower) && bytes.ContainsAny(value, upper) && bytes.ContainsAny(value, digits)
}
