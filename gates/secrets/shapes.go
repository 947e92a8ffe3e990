package secrets

import "bytes"

// The functions below recognise what is more than a prefix and a run of characters. Each looks at a bounded part of the
// text, or takes all that it looked at, so that no text costs more than its length times a constant.

// webhook is a URL that is a secret by itself.
func webhook(prefix string, least int) func([]byte, int) (int, int, bool) {
	path := letters(lower + upper + digits + "_-/@")
	return func(text []byte, at int) (int, int, bool) {
		if !spelled(text, at, prefix) {
			return 0, 0, false
		}
		end := run(text, at+len(prefix), path, 400)
		return at, end, end-at-len(prefix) >= least
	}
}

// parts is a prefix and two runs of a set with a mark between them.
func parts(prefix string, mark byte, set *alphabet, least1, most1, least2, most2 int) func([]byte, int) (int, int, bool) {
	return func(text []byte, at int) (int, int, bool) {
		if !spelled(text, at, prefix) || at > 0 && alnum[text[at-1]] {
			return 0, 0, false
		}
		first := at + len(prefix)
		middle := run(text, first, set, most1)
		if middle-first < least1 || middle-first > most1 || middle == len(text) || text[middle] != mark {
			return 0, 0, false
		}
		end := run(text, middle+1, set, most2)
		n := end - middle - 1
		return at, end, n >= least2 && n <= most2 && !monotonous(text[first:middle]) && bytes.ContainsAny(text[first:end], digits)
	}
}

// tokenUUID is a prefix and a UUID.
func tokenUUID(prefix string) func([]byte, int) (int, int, bool) {
	return func(text []byte, at int) (int, int, bool) {
		end := at + len(prefix) + 36
		if !spelled(text, at, prefix) || at > 0 && urlSafe[text[at-1]] || end > len(text) || end < len(text) && urlSafe[text[end]] {
			return 0, 0, false
		}
		for i, c := range text[end-36 : end] {
			if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (c == '-') || !dash && !hexDigits[c] {
				return 0, 0, false
			}
		}
		return at, end, true
	}
}

// around is a mark in the middle of a token: so many characters before it, at least so many after it.
func around(mark string, before *alphabet, least, most int, after *alphabet, rest int) func([]byte, int) (int, int, bool) {
	return func(text []byte, at int) (int, int, bool) {
		if !spelled(text, at, mark) {
			return 0, 0, false
		}
		start := back(text, at, before, most)
		if n := at - start; n < least || n > most {
			return 0, 0, false
		}
		end := run(text, at+len(mark), after, 256)
		return start, end, end-at-len(mark) >= rest
	}
}

// base64Key is a member of a connection string with a key in Base64.
func base64Key(prefix string, least int) func([]byte, int) (int, int, bool) {
	return func(text []byte, at int) (int, int, bool) {
		if !spelled(text, at, prefix) {
			return 0, 0, false
		}
		start := at + len(prefix)
		end := run(text, start, base64Std, 200)
		if end-start < least {
			return 0, 0, false
		}
		for range 2 {
			if end < len(text) && text[end] == '=' {
				end++
			}
		}
		return start, end, true
	}
}

// jsonWebToken is RFC 7519: header and claims are JSON objects, so that both begin with the Base64 of {".
func jsonWebToken(text []byte, at int) (int, int, bool) {
	if !spelled(text, at, "eyJ") || at > 0 && urlSafe[text[at-1]] {
		return 0, 0, false
	}
	dot := run(text, at, urlSafe, 1024)
	if dot-at < 12 || dot == len(text) || text[dot] != '.' || !spelled(text, dot+1, "eyJ") {
		return 0, 0, false
	}
	second := run(text, dot+1, urlSafe, 8192)
	if second-dot < 12 || second == len(text) || text[second] != '.' {
		return 0, 0, false
	}
	end := run(text, second+1, urlSafe, 0)
	return at, end, end-second > 16
}

// privateKey is a PEM block with a key (RFC 7468, and OpenSSH's and PGP's forms). One without an end reaches to the end
// of the text.
func privateKey(text []byte, at int) (int, int, bool) {
	if !spelled(text, at, "-----BEGIN ") {
		return 0, 0, false
	}
	label := text[at+len("-----BEGIN ") : min(len(text), at+80)]
	end := bytes.Index(label, []byte("-----"))
	if end < 0 || !bytes.Contains(label[:end], []byte("PRIVATE KEY")) {
		return 0, 0, false
	}
	body := at + len("-----BEGIN ") + end + len("-----")
	mark := []byte("-----END " + string(label[:end]) + "-----")
	if !written(text[body:]) {
		return 0, 0, false
	}
	if i := bytes.Index(text[body:], mark); i >= 0 {
		return at, body + i + len(mark), true
	}
	return at, len(text), true
}

// written reports whether there is a key between the marks of a PEM block, and not words that say where one belongs.
func written(body []byte) bool {
	for at := 0; at < min(len(body), 256); at++ {
		if c := body[at]; c == '\\' || c <= ' ' || c == '"' || c == '\'' || c == ',' || c == '+' || c == '`' || c == '#' || c == '*' {
			if c == '\\' {
				at++
			}
			continue
		}
		end := run(body, at, base64Std, 0)
		return end == len(body) && end-at >= 4 || end-at >= 16 || end-at >= 4 && end < len(body) && body[end] == ':' // a header, Proc-Type: 4,ENCRYPTED
	}
	return false
}

// puttyKey is a PuTTY key file, to its end.
func puttyKey(text []byte, at int) (int, int, bool) {
	return at, len(text), spelled(text, at, "PuTTY-User-Key-File-")
}

// urlPassword is the password of scheme://user:password@host.
func urlPassword(text []byte, at int) (int, int, bool) {
	if at == 0 || !alnum[text[at-1]] {
		return 0, 0, false
	}
	colon := -1
	start := at + len("://")
	for i := start; i < len(text) && i-start < 512; i++ {
		switch c := text[i]; {
		case c == '@':
			return colon + 1, i, colon >= 0 && likelyURLPassword(text[colon+1:i])
		case c == ':' && colon < 0:
			colon = i
		case c <= ' ' || c == '/' || c == '?' || c == '#' || c == '"' || c == '\'' || c == '`' || c == '<' || c >= 0x7f:
			return 0, 0, false
		}
	}
	return 0, 0, false
}

// likelyURLPassword reports whether what stands in the place of a password in a URL is one. Short words there are those of examples.
func likelyURLPassword(value []byte) bool {
	return !placeholder(value) && !monotonous(value) && (len(value) >= 8 || chosen(value))
}

// authorization is the value of an HTTP header of that name.
func authorization(scheme string) func([]byte, int) (int, int, bool) {
	set := letters(lower + upper + digits + "_-.+/~=")
	return func(text []byte, at int) (int, int, bool) {
		start := at + len(scheme)
		if at > 0 && alnum[text[at-1]] {
			return 0, 0, false
		}
		end := run(text, start, set, 0)
		value := text[start:end]
		if len(value) < 16 {
			return 0, end, false
		}
		if scheme == "basic " {
			return start, end, userAndPassword(value)
		}
		return start, end, len(value) >= 20 && secretLike(value)
	}
}
