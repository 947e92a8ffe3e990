package policy

import (
	"bytes"
	"encoding/base64"
	"math"
	"slices"
	"strings"
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

// secretName reports whether a name that has the given one of secretNames at its place is that of a secret; rest is the name from
// there on.
func secretName(word string, rest []byte) bool {
	low := string(bytes.ToLower(rest))
	word = strings.Trim(word, "=\"")
	if slices.ContainsFunc(lastNames, func(last string) bool { return strings.Trim(last, "=\"") == word }) && low != word {
		return false
	}
	return !slices.ContainsFunc(otherEnds, func(end string) bool { return low != word && strings.HasSuffix(low, end) })
}

// assignment finds the value in NAME=value, NAME: "value", "name": "value", <name>value</name>, --name value and the like, given the
// place of a word of secretNames inside NAME.
func assignment(text []byte, at int, word string) (start, end int, ok bool) {
	if text[at] == '"' {
		at++
	}
	i := run(text, at, urlSafe, 64)
	if !secretName(word, text[at:i]) {
		return 0, 0, false
	}
	name := at
	for name > 0 && at-name < 64 && urlSafe[text[name-1]] {
		name--
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
	case text[i-1] == ' ' && (bytes.HasPrefix(text[name:], []byte("--")) || before(text, name, "ENV ") || bytes.Equal(text[name:at+len(word)], []byte("password")) && afterLogin(text, name)):
	default:
		return 0, 0, false
	}
	start, end, ok = value(text, blanks(text, i), escaped)
	if !ok || word == "_auth" || word == "\"auth\"" {
		return start, end, ok && userAndPassword(text[start:end])
	}
	return start, end, secretLike(text[start:end])
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

// before reports whether s stands directly before a place.
func before(text []byte, at int, s string) bool { return bytes.HasSuffix(text[:at], []byte(s)) }

// afterLogin reports whether the word before a place stands behind "login", as in the lines of a .netrc.
func afterLogin(text []byte, at int) bool {
	words := bytes.Fields(text[max(at-160, 0):at])
	return len(words) > 1 && string(words[len(words)-2]) == "login"
}

// userAndPassword reports whether a value is the Base64 of user:password, as in the header Authorization.
func userAndPassword(value []byte) bool {
	plain, err := base64.StdEncoding.DecodeString(string(value))
	return err == nil && bytes.IndexByte(plain, ':') > 0
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
	return c > ' ' && c != 0x7f && !bytes.ContainsRune([]byte("\"'`,;()[]{}<>|"), rune(c))
}

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
	if len(value) < 10 || placeholder(value) || isPath(value) {
		return false
	}
	var kinds [4]bool // lower case, upper case, digits, others
	var count [256]int
	for _, c := range value {
		if c == ' ' {
			return false
		}
		kinds[kindOf(c)] = true
		count[c]++
	}
	if !(kinds[0] || kinds[1]) || !kinds[2] && !drawn(value) {
		return false
	}
	entropy := 0.0
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(value))
			entropy -= p * math.Log2(p)
		}
	}
	if kinds[0] && kinds[1] && kinds[2] {
		return entropy >= leastEntropyMixed
	}
	return entropy >= leastEntropy
}

func kindOf(c byte) int {
	switch {
	case numerals[c]:
		return 2
	case c >= 'a' && c <= 'z':
		return 0
	case c >= 'A' && c <= 'Z':
		return 1
	}
	return 3
}

// drawn reports whether the letters of a value look drawn at random: it is long, and no case is rare. In names that are put
// together from words fewer than a quarter of the letters are capitals.
func drawn(value []byte) bool {
	var n [4]int
	for _, c := range value {
		n[kindOf(c)]++
	}
	return len(value) >= 20 && 10*n[1] >= 3*(n[0]+n[1]) && 10*n[0] >= 2*(n[0]+n[1])
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
	low := bytes.ToLower(value)
	switch string(low) {
	case "password", "pass", "secret", "user", "test", "postgres", "root", "pw", "pwd", "token", "x", "xxx", "***", "%s", "%v", "%q", "%d":
		return true
	}
	for _, r := range references {
		if bytes.HasPrefix(low, []byte(r)) {
			return true
		}
	}
	for _, p := range placeholders {
		if bytes.Contains(low, []byte(p)) {
			return true
		}
	}
	return false
}

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
