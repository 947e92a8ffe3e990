package secrets

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"unicode/utf8"
)

// secretNames are the parts of names under which secrets are kept, lower case. A text with one of them is looked at for
// an assignment. Those that are in other words too count only at the end of a name.
var secretNames = []string{
	"password", "passwd", "passphrase", "secret", "api_key", "apikey", "api-key", "access_key", "accesskey", "access-key",
	"private_key", "privatekey", "private-key", "credential", "encryption_key", "encryptionkey", "signing_key", "signingkey", "master_key",
	"masterkey", "app_key", "application_key", "admin_key", "openai_key", "preshared", "client-key-data", "token", "pwd", "_pass", "pass=", "_auth", "\"auth\"", "creds",
	"deploy_key", "deploykey", "auth_key", "authkey", "server_key", "ssh_key", "account_key", "accountkey", "hmac_key", "session_key", "shared_key", "service_key",
}

// lastNames are those of secretNames that have to end the name.
var lastNames = []string{"token", "pwd", "_pass", "pass=", "_auth", "\"auth\"", "creds", "auth_key", "authkey"}

// otherEnds are ends of names of what is about a secret and is none.
var otherEnds = []string{"sha256", "sha1", "sha512", "md5", "hash", "digest", "fingerprint", "checksum", "_id", "-id", "file", "path", "version", "name", "stdin", "ref",
	"url", "uri", "arn", "type", "policy", "length", "field", "expiry", "expires", "algorithm", "source", "provider",
	"process", "helper", "manager", "placeholder", "prompt", "hint", "label"}

// pageTokens are ends of names of what says where a list goes on, or which request this is, which is no secret.
var pageTokens = []string{"pagetoken", "page_token", "page-token", "nexttoken", "next_token", "continuationtoken", "continuation_token", "synctoken", "sync_token",
	"clienttoken", "client_token", "requesttoken", "request_token", "idempotencytoken", "csrftoken", "csrf_token", "csrf-token", "publictoken", "public_token"}

// secretName reports whether a name that has one of secretNames at a place is that of a secret.
func secretName(word string, name []byte, at int) bool {
	if bytes.HasSuffix(name, []byte("Id")) || bytes.HasSuffix(name, []byte("ID")) {
		return false
	}
	low := strings.ToLower(string(name))
	if plain := strings.TrimRight(low, digits); plain != low && strings.HasSuffix(plain, "_") && len(plain) > at+len(word) {
		low = plain[:len(plain)-1] // api_token_2
	}
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

// assignment finds the value that is assigned to a name, given the place of a word of secretNames inside of it.
func assignment(text []byte, at int, word string) (start, end int, ok bool) {
	if text[at] == '"' {
		at++
	}
	i := run(text, at, urlSafe, 64)
	name := back(text, at, urlSafe, 64)
	if !secretName(word, text[name:i], at-name) || reference(text, name) {
		return 0, 0, false
	}
	start, end, ok = assigned(text, name, i)
	if slices.Contains(asUserAndPassword, word) {
		return start, end, ok && userAndPassword(text[start:end])
	}
	return start, end, ok && secretLike(text[start:end])
}

// reference reports whether a name is part of a reference to a secret that lies elsewhere: arn:aws:secretsmanager:…:secret:NAME.
func reference(text []byte, name int) bool {
	if name == 0 || text[name-1] != ':' {
		return false
	}
	return bytes.Contains(text[max(name-96, 0):name], []byte("arn:"))
}

// userAndPassword reports whether a value is the Base64 of user:password, as in the header Authorization.
func userAndPassword(value []byte) bool {
	plain, err := base64.StdEncoding.DecodeString(string(value))
	control := func(r rune) bool { return r < ' ' || r == utf8.RuneError }
	return err == nil && bytes.IndexByte(plain, ':') > 0 && bytes.IndexFunc(plain, control) < 0 && !documented[string(value)]
}
