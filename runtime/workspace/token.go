package workspace

import (
	"io"
	"strings"

	"github.com/google/uuid"

	"github.com/sheratan/sheratan/pipeline/job"
)

// maxToken bounds the name of a claim in bytes, so that a suffix still fits into the 255 of a file name.
const maxToken = 200

// tokenParts is what the name of a claim says: UUID~SOURCE~NAME, where NAME is the name of the inbox file, escaped by
// EscapeName, its middle replaced by ~ where it is too long. The first eight digits of the UUID name the session that
// claimed it.
type tokenParts struct {
	uuid   uuid.UUID
	source string
	file   string
}

// newToken draws the UUID, version 4, from random.
func newToken(session [4]byte, random io.Reader, e Entry) (string, error) {
	u, err := uuid.NewRandomFromReader(random)
	if err != nil {
		return "", err
	}
	copy(u[:], session[:])
	file := EscapeName(e.Name)
	const fixed = 36 + 1 + 1
	if room := maxToken - fixed - len(e.Source); len(file) > room {
		suffix := ""
		if i := strings.LastIndexByte(file, '.'); i >= 0 && len(file)-i <= len(".jsonl") {
			suffix = file[i:]
		}
		head := file[:room-1-len(suffix)]
		// Not through the middle of an escape.
		if i := strings.LastIndexByte(head, '%'); i > len(head)-3 {
			head = head[:i]
		}
		file = head + "~" + suffix
	}
	return u.String() + "~" + e.Source + "~" + file, nil
}

// parseToken takes a token apart. It is false for a name that newToken would not have made.
func parseToken(s string) (tokenParts, bool) {
	if len(s) > maxToken {
		return tokenParts{}, false
	}
	id, rest, ok := strings.Cut(s, "~")
	if !ok || len(id) != 36 {
		return tokenParts{}, false
	}
	u, err := uuid.Parse(id)
	if err != nil || u.String() != id {
		return tokenParts{}, false
	}
	source, file, ok := strings.Cut(rest, "~")
	if !ok || !job.ValidID(source) || !escaped(file) {
		return tokenParts{}, false
	}
	return tokenParts{uuid: u, source: source, file: file}, true
}

func escaped(file string) bool {
	if file == "" || strings.Count(file, "~") > 1 {
		return false
	}
	for i := 0; i < len(file); i++ {
		switch c := file[i]; {
		case plainByte(c), c == '~':
		case c == '%' && i+2 < len(file) && isHex(file[i+1]) && isHex(file[i+2]):
			i += 2
		default:
			return false
		}
	}
	return true
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' }
