package schemas

import "strings"

var tokenEscaper = strings.NewReplacer("~", "~0", "/", "~1")

// EscapeToken prints s as a reference token of a JSON Pointer (RFC 6901).
func EscapeToken(s string) string {
	if !strings.ContainsAny(s, "~/") {
		return s
	}
	return tokenEscaper.Replace(s)
}

// UnescapeToken returns what a reference token of a JSON Pointer stands for. A tilde that is neither ~0 nor ~1 stays.
func UnescapeToken(token string) string {
	if !strings.Contains(token, "~") {
		return token
	}
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}
