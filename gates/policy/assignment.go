package policy

import (
	"bytes"
	"math"
)

// secretNames are the parts of names under which secrets are kept, lower case. A text with one of them is looked at for
// an assignment.
var secretNames = []string{
	"password", "passwd", "passphrase", "secret", "api_key", "apikey", "api-key", "access_key", "accesskey", "access-key",
	"auth_token", "authtoken", "auth-token", "access_token", "accesstoken", "access-token", "refresh_token", "private_key",
	"privatekey", "private-key", "credential", "bot_token", "github_token", "_token",
}

// assignment finds the value in NAME=value, NAME: "value", "name": "value" and the like, given a place inside NAME.
func assignment(text []byte, at int) (start, end int, ok bool) {
	i := run(text, at, urlSafe, 64)
	if i < len(text) && (text[i] == '"' || text[i] == '\'') {
		i++
	}
	i = blanks(text, i)
	if i == len(text) || text[i] != '=' && text[i] != ':' {
		return 0, 0, false
	}
	i++
	if i < len(text) && (text[i] == '=' || text[i] == '>') {
		i++
	}
	i = blanks(text, i)
	quote := byte(0)
	if i < len(text) && (text[i] == '"' || text[i] == '\'' || text[i] == '`') {
		quote = text[i]
		i++
	}
	start = i
	for end = start; end < len(text) && end-start < 256 && valueChar(text[end], quote); end++ {
	}
	value := text[start:end]
	switch {
	case quote != 0 && (end == len(text) || text[end] != quote):
		return 0, 0, false
	case quote == 0 && end < len(text) && (text[end] == '(' || text[end] == '[' || text[end] == '{'):
		return 0, 0, false // a call, an index: code, not a value
	case quote == 0 && expression(value):
		return 0, 0, false
	}
	return start, end, secretLike(value)
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

// expression reports whether an unquoted value reads like a name in a program: cfg.Password1, os.Args, db_password.
func expression(value []byte) bool {
	body := bytes.TrimRight(value, digits)
	if len(value)-len(body) > 2 {
		return false
	}
	for _, c := range body {
		if !wordChars[c] && c != '.' || numerals[c] {
			return false
		}
	}
	return true
}

// leastEntropy is in bits per character. English words have about 2.8 at these lengths, random hexadecimal digits 3.3
// and more.
const leastEntropy = 3.0

// secretLike reports whether a value may be a secret: long and irregular enough, letters and digits, no placeholder.
func secretLike(value []byte) bool {
	if len(value) < 10 || placeholder(value) || isPath(value) {
		return false
	}
	var letter, digit bool
	var count [256]int
	for _, c := range value {
		letter = letter || alnum[c] && !numerals[c]
		digit = digit || numerals[c]
		count[c]++
		if c == ' ' {
			return false
		}
	}
	if !letter || !digit {
		return false
	}
	entropy := 0.0
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(value))
			entropy -= p * math.Log2(p)
		}
	}
	return entropy >= leastEntropy
}

// isPath reports whether a value names a file, as in password_file=/run/secrets/db1.
func isPath(value []byte) bool {
	for _, start := range []string{"/", "./", "../", "~/", "file:"} {
		if bytes.HasPrefix(value, []byte(start)) {
			return true
		}
	}
	return false
}

var placeholders = []string{"example", "changeme", "change-me", "change_me", "placeholder", "your", "xxxx", "****", "....",
	"dummy", "redacted", "${", "$(", "{{", "<", "%s", "%v", "process.env", "os.environ", "getenv"}

// placeholder reports whether a value only stands for a secret.
func placeholder(value []byte) bool {
	if len(value) > 0 && value[0] == '$' {
		return true
	}
	low := bytes.ToLower(value)
	switch string(low) {
	case "password", "pass", "secret", "user", "test", "postgres", "root", "pw", "pwd", "token", "x", "xxx", "***":
		return true
	}
	for _, p := range placeholders {
		if bytes.Contains(low, []byte(p)) {
			return true
		}
	}
	return false
}
