package secrets

import (
	"bytes"
	"encoding/base64"
	"math"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/sheratan/sheratan/gates/words"
)

// secretNames are the parts of names under which secrets are kept, lower case. A text with one of them is looked at for
// an assignment. Those that are in other words too count only at the end of a name.
var secretNames = []string{
	"password", "passwd", "passphrase", "secret", "api_key", "apikey", "api-key", "access_key", "accesskey", "access-key",
	"private_key", "privatekey", "private-key", "credential", "encryption_key", "encryptionkey", "signing_key", "signingkey", "master_key",
	"masterkey", "app_key", "application_key", "admin_key", "openai_key", "preshared", "client-key-data", "token", "pwd", "_pass", "pass=", "_auth", "\"auth\"",
}

// lastNames are those of secretNames that have to end the name.
var lastNames = []string{"token", "pwd", "_pass", "pass=", "_auth", "\"auth\""}

// otherEnds are ends of names of what is about a secret and is none.
var otherEnds = []string{"sha256", "sha1", "sha512", "md5", "hash", "digest", "fingerprint", "checksum", "_id", "-id", "file", "path", "version", "name", "stdin", "ref",
	"url", "uri", "arn", "type", "policy", "length", "field", "expiry", "expires", "algorithm"}

// pageTokens are ends of names of what says where a list goes on, which is no secret.
var pageTokens = []string{"pagetoken", "page_token", "page-token", "nexttoken", "next_token", "continuationtoken", "continuation_token", "synctoken", "sync_token"}

// secretName reports whether a name that has one of secretNames at a place is that of a secret.
func secretName(word string, name []byte, at int) bool {
	low := strings.ToLower(string(name))
	rest, bare := low[at:], strings.Trim(word, "=\"")
	if rest == bare {
		ends := func(end string) bool { return strings.HasSuffix(low, end) }
		within := at > 0 && alnum[name[at-1]] && kindOf(name[at]) != 1 // bypass, and not dbPass
		return !(word == "pass=" && within) && !slices.ContainsFunc(pageTokens, ends)
	}
	return !slices.Contains(lastNames, word) && !slices.ContainsFunc(otherEnds, func(end string) bool { return strings.HasSuffix(rest, end) })
}

// asUserAndPassword are those of secretNames under which user:password stands in Base64, and else nothing secret.
var asUserAndPassword = []string{"_auth", "\"auth\""}

// assignment finds the value in NAME=value, NAME: "value", "name": "value", <name>value</name>, --name value and the like, given the
// place of a word of secretNames inside NAME.
func assignment(text []byte, at int, word string) (start, end int, ok bool) {
	if text[at] == '"' {
		at++
	}
	i := run(text, at, urlSafe, 64)
	name := back(text, at, urlSafe, 64)
	if !secretName(word, text[name:i], at-name) {
		return 0, 0, false
	}
	i, escaped := quote(text, i)
	i = blanks(text, i)
	if bytes.HasPrefix(text[i:], []byte("string ")) { // a declaration
		i = blanks(text, i+len("string "))
	}
	switch {
	case i == len(text):
		return 0, 0, false
	case text[i] == '=' || text[i] == ':':
		i++
		if i < len(text) && (text[i] == '=' || text[i] == '>') {
			i++
		}
	case text[i] == '>' && name > 0 && text[name-1] == '<':
		i++
	case text[i-1] == ' ' && spaced(text, name, i):
	default:
		return 0, 0, false
	}
	start, end, ok = value(text, blanks(text, i), escaped)
	if slices.Contains(asUserAndPassword, word) {
		return start, end, ok && userAndPassword(text[start:end])
	}
	return start, end, ok && secretLike(text[start:end])
}

// quote goes past a quotation mark, which may be escaped as in JSON inside of a string.
func quote(text []byte, i int) (next int, escaped bool) {
	if i+1 < len(text) && text[i] == '\\' && text[i+1] == '"' {
		return i + 2, true
	}
	if i < len(text) && (text[i] == '"' || text[i] == '\'') {
		i++
	}
	return i, false
}

// value returns where a value lies that begins at i, with its quotation marks or without.
func value(text []byte, i int, escaped bool) (start, end int, ok bool) {
	mark := byte(0)
	switch {
	case escaped && i+1 < len(text) && text[i] == '\\' && text[i+1] == '"':
		i, mark = i+2, '\\'
	case i < len(text) && (text[i] == '"' || text[i] == '\'' || text[i] == '`'):
		mark = text[i]
		i++
	}
	start = i
	for end = start; end < len(text) && end-start < valueBytes && valueChar(text[end], mark); end++ {
		if mark == 0 && text[end] == '&' {
			if name := run(text, end+1, wordChars, 64); name > end+1 && name < len(text) && text[name] == '=' {
				break // the next parameter of a URL
			}
		}
	}
	switch {
	case mark != 0 && (end == len(text) || text[end] != mark):
		return 0, 0, false
	case mark == 0 && end < len(text) && (text[end] == '(' || text[end] == '[' || text[end] == '{'):
		return 0, 0, false // a call, an index: code, not a value
	case mark == 0 && expression(text[start:end]):
		return 0, 0, false
	}
	return start, end, true
}

// valueBytes bounds how much of a value is looked at.
const valueBytes = 512

// spaced reports whether a name, which lies before end with the blanks behind it, is one that its value follows without a sign:
// an option, ENV NAME of a Dockerfile, or login USER password of a .netrc.
func spaced(text []byte, name, end int) bool {
	if bytes.HasPrefix(text[name:], []byte("--")) || bytes.HasSuffix(text[:name], []byte("ENV ")) {
		return true
	}
	words := bytes.Fields(text[max(name-160, 0):name])
	return len(words) > 1 && string(words[len(words)-2]) == "login" && string(bytes.TrimSpace(text[name:end])) == "password"
}

// userAndPassword reports whether a value is the Base64 of user:password, as in the header Authorization.
func userAndPassword(value []byte) bool {
	plain, err := base64.StdEncoding.DecodeString(string(value))
	control := func(r rune) bool { return r < ' ' || r == utf8.RuneError }
	return err == nil && bytes.IndexByte(plain, ':') > 0 && bytes.IndexFunc(plain, control) < 0
}

func blanks(text []byte, i int) int {
	for n := 0; n < 8 && i < len(text) && (text[i] == ' ' || text[i] == '\t'); n++ {
		i++
	}
	return i
}

func valueChar(c, quote byte) bool {
	if quote != 0 {
		return c != quote && c >= ' ' && c != 0x7f
	}
	return unquoted[c]
}

// unquoted are the characters of a value without quotation marks.
var unquoted = func() (a alphabet) {
	for c := range a {
		a[c] = c > ' ' && c < 0x7f && !strings.ContainsRune("\"'`,;()[]{}<>|", rune(c)) || c > 0x7f
	}
	return a
}()

// expression reports whether an unquoted value reads like a name in a program: cfg.Password1, os.Args, db_password. Parts of more
// than fifteen characters with digits among them are none that somebody would give a name to.
func expression(value []byte) bool {
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
	if inner || drawn(value) {
		return false
	}
	return dots > 1 || len(value)-len(body) <= 2 && !bytes.ContainsAny(body, digits)
}

// leastEntropy is in bits per character. English words have about 2.8 at these lengths, random hexadecimal digits 3.3
// and more. A password of characters of three kinds is told by these, and may repeat some.
const leastEntropy, leastEntropyMixed = 3.0, 2.5

// secretLike reports whether a value may be a secret: long and irregular enough, letters and digits, no placeholder.
func secretLike(value []byte) bool {
	return len(value) >= 10 && irregular(value) && !placeholder(value) && !isPath(value)
}

// irregular reports whether the characters of a value look drawn. It is what tells most values apart, and costs the least.
func irregular(value []byte) bool {
	n, spaces := tally(value)
	if spaces || n[0]+n[1] == 0 || n[2] == 0 && !looksDrawn(n) {
		return false
	}
	var count [256]int
	for _, c := range value {
		count[c]++
	}
	entropy := 0.0
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(value))
			entropy -= p * math.Log2(p)
		}
	}
	if n[0] > 0 && n[1] > 0 && n[2] > 0 {
		return entropy >= leastEntropyMixed
	}
	return entropy >= leastEntropy
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

var placeholders = []string{"example", "changeme", "change-me", "change_me", "placeholder", "your", "xxxxxx", "****", "....",
	"dummy", "redacted", "${", "$(", "{{", "<", "process.env", "os.environ", "getenv"}

// references begin values that say where a secret lies.
var references = []string{"op://", "vault:", "arn:", "ssm:", "ref+", "sops:", "keyring:", "enc["}

// placeholder reports whether a value only stands for a secret.
func placeholder(value []byte) bool {
	if len(value) > 0 && value[0] == '$' || isDate(value) {
		return true
	}
	if len(value) <= 8 {
		switch strings.ToLower(string(value)) {
		case "password", "pass", "secret", "user", "test", "postgres", "root", "pw", "pwd", "token", "x", "xxx", "***", "%s", "%v", "%q", "%d":
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
