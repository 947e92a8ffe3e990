package workspace

import (
	"io/fs"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// What can lie under a name, told without following or opening it. A regular file is "": it needs no word, and nothing
// else is ever read.
const (
	TypeFile    = ""
	TypeFolder  = "directory"
	TypeSymlink = "symlink"
	TypeFIFO    = "fifo"
	TypeSocket  = "socket"
	TypeDevice  = "device"
	TypeUnknown = "unknown"
)

func typeOfMode(m fs.FileMode) string {
	switch m.Type() {
	case 0:
		return TypeFile
	case fs.ModeDir:
		return TypeFolder
	case fs.ModeSymlink:
		return TypeSymlink
	case fs.ModeNamedPipe:
		return TypeFIFO
	case fs.ModeSocket:
		return TypeSocket
	case fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice:
		return TypeDevice
	default:
		return TypeUnknown
	}
}

func typeOfStat(st *unix.Stat_t) string {
	switch uint32(st.Mode) & unix.S_IFMT {
	case unix.S_IFREG:
		return TypeFile
	case unix.S_IFDIR:
		return TypeFolder
	case unix.S_IFLNK:
		return TypeSymlink
	case unix.S_IFIFO:
		return TypeFIFO
	case unix.S_IFSOCK:
		return TypeSocket
	case unix.S_IFBLK, unix.S_IFCHR:
		return TypeDevice
	default:
		return TypeUnknown
	}
}

// Problem says why an entry cannot be a proposal whatever is in it; "" is none.
type Problem string

// The problems of entries.
const (
	ProblemType   Problem = "NOT_A_FILE" // a link, a pipe, a folder within a source's folder, …
	ProblemSource Problem = "BAD_SOURCE" // a folder whose name is not a valid source
	ProblemName   Problem = "BAD_NAME"   // invalid UTF-8, or control characters
)

// Entry is a name in the inbox that is to be taken: a proposal, or something that is none and has to be reported.
type Entry struct {
	Source  string // a valid id: the name of the folder, or "inbox" for what lies in the inbox itself
	Name    string // as the file system has it; it may hold any bytes
	Path    string // absolute
	Type    string
	Problem Problem
}

// Lines reports whether the entry holds one proposal per line.
func (e Entry) Lines() bool { return strings.HasSuffix(e.Name, ".jsonl") }

// Ready reports whether the name promises that the file was complete when it got this name (it was renamed into place),
// so that nobody has to wait and see whether it still grows.
func (e Entry) Ready() bool { return strings.HasSuffix(e.Name, readySuffix) }

const readySuffix = ".ready.jsonl"

// signatureSuffix follows the whole name of the proposal that was signed.
const signatureSuffix = ".sig"

// ignored reports whether a name belongs to a writer who has not finished yet, by the usual signs.
func ignored(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") || strings.HasSuffix(name, ".tmp")
}

// proposalName reports whether a regular file of this name is a proposal.
func proposalName(name string) bool {
	return strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".jsonl")
}

func badName(name string) bool {
	if !utf8.ValidString(name) {
		return true
	}
	for _, r := range name {
		if r < 0x20 || r == 0x7f {
			return true
		}
	}
	return false
}

// EscapeName prints a file name in the printable ASCII characters A-Z a-z 0-9 . _ - and %XX for all other bytes.
func EscapeName(name string) string {
	const hexDigits = "0123456789ABCDEF"
	plain := true
	for i := range len(name) {
		if !plainByte(name[i]) {
			plain = false
			break
		}
	}
	if plain {
		return name
	}
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		if plainByte(c) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
	return b.String()
}

func plainByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
}

// unescapeName is the inverse of EscapeName.
func unescapeName(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			b = append(b, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c - 'A' + 10
}
