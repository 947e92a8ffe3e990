package roots

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Limits of a path, in bytes. They are those of Linux.
const (
	maxPath = 4095
	maxName = 255
)

// split takes a path apart and checks its spelling. Empty components and "." are dropped; ".." is refused, also where it
// would stay inside: what a/../b means depends on whether a is a symbolic link, and no honest proposal needs it.
// dir reports whether the path ended in a way that only a directory can satisfy.
func split(path string) (names []string, abs, dir bool, err *PathError) {
	switch {
	case path == "":
		return nil, false, false, fault(NotAPath, "the path is empty")
	case len(path) > maxPath:
		return nil, false, false, fault(NotAPath, "the path has %d bytes, the limit is %d", len(path), maxPath)
	}
	abs = path[0] == '/'
	names = make([]string, 0, strings.Count(path, "/")+1)
	for rest, more := path, true; more; {
		var name string
		name, rest, more = strings.Cut(rest, "/")
		dir = name == "" || name == "."
		if dir {
			continue
		}
		if len(names) == 0 && !abs && name == "~" {
			return nil, abs, dir, fault(NotAPath, "~ is not expanded; give the path relative to the root")
		}
		if err := checkName(name); err != nil {
			return nil, abs, dir, err
		}
		names = append(names, name)
	}
	return names, abs, dir, nil
}

// splitLink takes the target of a symbolic link apart. Other than in a path, ".." is allowed: the walk keeps to the
// directories that it has opened.
func splitLink(target string) ([]string, *PathError) {
	var names []string
	for name := range strings.SplitSeq(target, "/") {
		if name == "" || name == "." {
			continue
		}
		if name != ".." {
			if err := checkName(name); err != nil {
				return nil, err
			}
		}
		names = append(names, name)
	}
	return names, nil
}

// checkName checks one component of a path.
func checkName(name string) *PathError {
	if name == ".." {
		return fault(Traversal, "the path contains \"..\"")
	}
	if len(name) > maxName {
		return fault(NotAPath, "a component has %d bytes, the limit is %d", len(name), maxName)
	}
	ascii := true
	for i := range len(name) {
		switch c := name[i]; {
		case c < 0x20 || c == 0x7f:
			return fault(NotAPath, "the path contains the control character %#02x", c)
		case c == '\\':
			return fault(NotAPath, "the path contains a backslash; components are separated by /")
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	plain := name
	if !ascii {
		if !utf8.ValidString(name) {
			return fault(NotAPath, "the path is not UTF-8")
		}
		plain = skeleton(name)
		if strings.ContainsAny(plain, "/\\\x00") {
			return fault(Traversal, "the component %q contains a character that some systems read as a separator", name)
		}
	}
	// Windows, and so a mounted NTFS or a share, drops trailing dots and spaces.
	plain = strings.TrimRight(plain, ". ")
	if plain == "" {
		return fault(Traversal, "the component %q would be read as \"..\" on some systems", name)
	}
	if isGit(plain) {
		return fault(ForbiddenPath, "%q is git's own folder", name)
	}
	return nil
}

// IsGit reports whether a name in a folder is git's own on some file system, as .GIT is where case does not count.
func IsGit(name string) bool {
	for i := range len(name) {
		if c := name[i]; c >= utf8.RuneSelf {
			return isGit(strings.TrimRight(skeleton(name), ". "))
		}
	}
	return isGit(name)
}

// skeleton returns name as a lenient file system might read it: compatibility forms folded (fullwidth dots, ligatures),
// characters that HFS+ ignores dropped.
func skeleton(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r) || (r >= 0x80 && r < 0xa0) {
			return -1
		}
		return r
	}, norm.NFKC.String(name))
}

// isGit reports whether a component names git's folder on some file system: .git in any case, its NTFS short name
// (git~1), or either with a stream (".git::$INDEX_ALLOCATION").
func isGit(plain string) bool {
	if len(plain) < 4 {
		return false
	}
	if c := plain[0]; c != '.' && c != 'g' && c != 'G' && c < utf8.RuneSelf {
		return false
	}
	plain, _, _ = strings.Cut(plain, ":")
	plain = strings.TrimRight(plain, ". ")
	if strings.EqualFold(plain, ".git") {
		return true
	}
	short, number, ok := strings.Cut(plain, "~")
	if !ok || !strings.EqualFold(short, "git") || number == "" {
		return false
	}
	return strings.Trim(number, "0123456789") == ""
}

// within reports whether path is dir or lies in it. Both are clean and absolute. Case is ignored, because a file
// system may: erring on the side of refusal costs a name that nobody needs.
func within(dir, path string) bool {
	if dir == "/" {
		return true
	}
	if len(path) < len(dir) || !strings.EqualFold(path[:len(dir)], dir) {
		return false
	}
	return len(path) == len(dir) || path[len(dir)] == '/'
}
