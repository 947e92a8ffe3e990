package secrets

import "bytes"

// The functions below recognise a secret by where it stands, in commands and files that have a place for one.

// nextValue is the value at i, with its quotation marks or without, if it may be a secret.
func nextValue(text []byte, i int) (start, end int, ok bool) {
	start, end, ok = value(text, i, false, anything)
	return start, end, ok && secretLike(text[start:end])
}

// urlToken is the token of scheme://token@host, which has no user. The public key that Sentry's clients are configured with has that
// form too, in front of the number of a project.
func urlToken(text []byte, at int) (int, int, bool) {
	start := at + len("://")
	end := run(text, start, dotted, 256)
	if at == 0 || !alnum[text[at-1]] || end == len(text) || text[end] != '@' || end-start < 20 || !secretLike(text[start:end]) {
		return 0, 0, false
	}
	host := run(text, end+1, letters(lower+upper+digits+"-.:"), 256)
	if host < len(text) && text[host] == '/' && run(text, host+1, hexDigits, 0) == run(text, host+1, numerals, 0) && run(text, host+1, numerals, 0) > host+1 {
		return 0, 0, false
	}
	return start, end, true
}

// sharedSignature is the signature in a URL of Azure's storage: Base64, percent-encoded.
func sharedSignature(text []byte, at int) (int, int, bool) {
	if at == 0 || text[at-1] != '&' && text[at-1] != '?' {
		return 0, 0, false
	}
	start := at + len("sig=")
	end := run(text, start, letters(lower+upper+digits+"%+/=_-"), 128)
	return start, end, end-start >= 43
}

// pgpass is the password of a line HOST:5432:DATABASE:USER:PASSWORD of PostgreSQL's password file.
func pgpass(text []byte, at int) (int, int, bool) {
	i := at + len(":5432:")
	for range 2 {
		if i = run(text, i, letters(lower+upper+digits+"_-.*"), 64); i == len(text) || text[i] != ':' {
			return 0, 0, false
		}
		i++
	}
	return nextValue(text, i)
}

// userOption is the password of an option with user:password, as curl has it.
func userOption(option string) func([]byte, int) (int, int, bool) {
	return func(text []byte, at int) (int, int, bool) {
		if !spelled(text, at, option) || at > 0 && text[at-1] > ' ' {
			return 0, 0, false
		}
		i := blanks(text, at+len(option))
		if i < len(text) && (text[i] == '"' || text[i] == '\'') {
			i++
		}
		colon := run(text, i, letters(lower+upper+digits+"_-.@%"), 128)
		if colon == i || colon == len(text) || text[colon] != ':' {
			return 0, 0, false
		}
		end := colon + 1
		for end < len(text) && end-colon < valueBytes && text[end] > ' ' && text[end] != '"' && text[end] != '\'' {
			end++
		}
		return colon + 1, end, secretLike(text[colon+1 : end])
	}
}

// chpasswd is the password of user:password in the same line before, which is piped into it.
func chpasswd(text []byte, at int) (int, int, bool) {
	line := text[max(at-256, 0):at]
	if i := bytes.LastIndexByte(line, '\n'); i >= 0 {
		line = line[i+1:]
	}
	pipe, colon := bytes.LastIndexByte(line, '|'), bytes.IndexByte(line, ':')
	if pipe < 0 || colon < 0 || colon > pipe {
		return 0, 0, false
	}
	start := at - len(line) + colon + 1
	end := start
	for end < at && text[end] > ' ' && text[end] != '"' && text[end] != '\'' {
		end++
	}
	return start, end, secretLike(text[start:end])
}

// identifiedBy is the password of IDENTIFIED BY 'password' in SQL, with or without the word that says how it is written.
func identifiedBy(text []byte, at int) (int, int, bool) {
	i := blanks(text, at+len("identified by "))
	if n := len("password "); len(text)-i > n && bytes.EqualFold(text[i:i+n], []byte("password ")) {
		i = blanks(text, i+n)
	}
	if i == len(text) || text[i] != '\'' && text[i] != '"' {
		return 0, 0, false
	}
	start, end, ok := value(text, i, false, quotedOnly)
	return start, end, ok && chosen(text[start:end])
}

// razorpayKey is a key of that service with no more than fourteen characters, which have letters of both cases.
func razorpayKey(text []byte, at int) (int, int, bool) {
	start := at + len("rzp_live_")
	end := run(text, start, alnum, 14)
	return at, end, spelled(text, at, "rzp_live_") && end == start+14 && !monotonous(text[start:end])
}

// kubernetesSecret is the data of a manifest of that kind, from its first value to its last.
func kubernetesSecret(text []byte, at int) (start, end int, ok bool) {
	i := blanks(text, at+len("kind:"))
	i, _ = quote(text, i)
	if n := len("secret"); len(text)-i < n || !bytes.EqualFold(text[i:i+n], []byte("secret")) || i+n < len(text) && wordChars[text[i+n]] {
		return 0, 0, false
	}
	for _, window := range [][2]int{{i, min(len(text), i+manifestBytes)}, {max(0, at-manifestBytes), at}} {
		part := text[window[0]:window[1]]
		n := dataAt(part)
		if n < 0 {
			continue
		}
		if from, to := manifestValues(part[n+len("data:"):]); to > 0 {
			base := window[0] + n + len("data:")
			return base + from, base + to, true
		}
	}
	return 0, 0, false
}

// dataAt finds the line data:, which is not metadata:.
func dataAt(part []byte) int {
	for at := 0; ; {
		n := bytes.Index(part[at:], []byte("data:"))
		if n < 0 {
			return -1
		}
		if at += n; at == 0 || part[at-1] <= ' ' {
			return at
		}
		at += len("data:")
	}
}

// manifestBytes bounds how much of a manifest is looked at, before the line with its kind and behind it.
const manifestBytes = 2048

// manifestValues are the places of the first and the last value in Base64 in the lines name: value, or in blocks, until a line that is
// not indented.
func manifestValues(part []byte) (from, to int) {
	at := 0
	for line := range bytes.SplitSeq(part, []byte("\n")) {
		here := at
		at += len(line) + 1
		body := bytes.TrimRight(line, " \t\r")
		if len(body) > 0 && body[0] != ' ' && body[0] != '\t' && here > 0 {
			break
		}
		if trimmed := bytes.TrimLeft(body, " \t"); len(trimmed) == 0 || trimmed[0] == '#' {
			continue
		}
		start := bytes.LastIndexAny(body, " \t") + 1
		value := bytes.Trim(body[start:], "\"'")
		core := bytes.TrimRight(value, "=")
		if len(value) >= 10 && run(core, 0, base64Std, 0) == len(core) && len(value)%4 == 0 {
			if to == 0 {
				from = here + start
			}
			to = here + len(body)
		}
	}
	return from, to
}

// dottedTokens calls found with the tokens that only their parts tell, in order: a bot's of Discord, and a personal one of Airtable.
func dottedTokens(text []byte, found func(name string, start, end int) bool) {
	for at := 0; ; at++ {
		i := bytes.IndexByte(text[at:], '.')
		if i < 0 {
			return
		}
		at += i
		if at+8 < len(text) && text[at+7] == '.' {
			start := back(text, at, alnum, 28)
			end := run(text, at+8, urlSafe, 60)
			if n := at - start; n >= 23 && n <= 28 && run(text, at+1, urlSafe, 6) == at+7 && end-at-8 >= 27 && bytes.ContainsAny(text[start:end], digits) {
				if !found("discord-token", start, end) {
					return
				}
			}
		}
		if at >= 17 && bytes.EqualFold(text[at-17:at-14], []byte("pat")) {
			if end := run(text, at+1, hexDigits, 64); end == at+65 && back(text, at, alnum, 17) == at-17 && !found("airtable-token", at-17, end) {
				return
			}
		}
	}
}

// back returns the beginning of the characters of a set before a place, at most one more than most.
func back(text []byte, at int, set *alphabet, most int) int {
	start := at
	for start > 0 && at-start <= most && set[text[start-1]] {
		start--
	}
	return start
}
