package kind

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Diff is a unified diff of one text file. All of its lines are accounted for: ParseDiff refuses text that would change nothing,
// so that what was approved is what is applied.
type Diff struct {
	Creates bool // the file must not exist
	hunks   []hunk
}

// hunk is one place that is changed. The lines keep their line breaks.
type hunk struct {
	at       int // the first line of before, from 1; where before is empty, 0
	before   []string
	after    []string
	unending bool // the last line of after has no line break
}

// ChangeError says why a change does not fit a file. It never repeats what the file has: who proposes a change need not be
// allowed to read.
type ChangeError struct {
	Missing bool // there is no such file
	Exists  bool // there is one, and the change makes it
	Message string
}

func (e *ChangeError) Error() string { return e.Message }

var (
	errMissing = &ChangeError{Missing: true, Message: "there is no such file, and the change does not create it"}
	errExists  = &ChangeError{Exists: true, Message: "the diff creates the file, and it exists already"}
)

// Change returns the file as the diff leaves it. The error is a *ChangeError, or that of ParseDiff.
func (p FilePatch) Change(before []byte, exists bool) ([]byte, error) {
	d, err := ParseDiff(p.Path, p.Diff)
	switch {
	case err != nil:
		return nil, err
	case exists && d.Creates:
		return nil, errExists
	case !exists && !d.Creates:
		return nil, errMissing
	}
	return d.Apply(before)
}

// ParseDiff reads a diff of the file name, or hunks alone. It is strict where others guess: the numbers of each hunk have to
// be right, nothing may stand before, between or behind what they cover but empty lines at the end, and a hunk that only adds
// has a line that says where.
func ParseDiff(name, text string) (Diff, error) {
	r := diffReader{lines: strings.SplitAfter(text, "\n")}
	if last := len(r.lines) - 1; r.lines[last] == "" {
		r.lines = r.lines[:last]
	} else {
		r.lines[last] += "\n"
	}
	var d Diff
	if err := r.header(name, &d); err != nil {
		return Diff{}, err
	}
	for r.at < len(r.lines) && strings.HasPrefix(r.lines[r.at], "@@") {
		if len(d.hunks) > 0 && d.hunks[len(d.hunks)-1].unending {
			return Diff{}, fmt.Errorf("line %d of the diff: another hunk after the end of the file", r.at+1)
		}
		h, err := r.hunk(len(d.hunks)+1, d.Creates)
		if err != nil {
			return Diff{}, err
		}
		d.hunks = append(d.hunks, h)
	}
	if len(d.hunks) == 0 {
		if r.at < len(r.lines) {
			return Diff{}, fmt.Errorf("line %d of the diff is no part of one: a hunk that begins with @@ is expected", r.at+1)
		}
		return Diff{}, errors.New("the diff changes nothing: it has no hunk")
	}
	return d, r.rest(len(d.hunks))
}

// diffReader goes over the lines of a diff.
type diffReader struct {
	lines []string
	at    int
}

// header reads the lines before the first hunk. Hunks alone are what a model writes that was told the path elsewhere.
func (r *diffReader) header(name string, d *Diff) error {
	for ; r.at < len(r.lines) && !strings.HasPrefix(r.lines[r.at], "@@"); r.at++ {
		line := strings.TrimSuffix(r.lines[r.at], "\n")
		word, rest, _ := strings.Cut(line, " ")
		what := ""
		switch {
		case word == "---", word == "+++":
			if err := r.name(word, rest, name, d); err != nil {
				return err
			}
			continue
		case word == "index", line == "new file mode 100644", strings.HasPrefix(line, "diff --git "):
			continue
		case strings.TrimSpace(line) == "" && r.at == 0:
			continue
		case strings.Contains(line, " mode "):
			what = "the diff sets the mode of the file"
			if strings.HasPrefix(line, "deleted") {
				what = "the diff deletes the file"
			}
		case word == "rename", word == "copy", word == "similarity", word == "dissimilarity":
			what = "the diff renames or copies"
		case word == "Binary", line == "GIT binary patch":
			what = "the diff is binary"
		case strings.HasPrefix(line, "```"):
			what = "the diff is in a fence; give it without"
		default:
			return fmt.Errorf("line %d of the diff is no part of one: there is text before the diff", r.at+1)
		}
		return errors.New(what)
	}
	return nil
}

// name checks the name of the file in a line that begins with --- or +++.
func (r *diffReader) name(mark, text, want string, d *Diff) error {
	text, _, _ = strings.Cut(text, "\t") // a date may follow
	if quoted, err := strconv.Unquote(text); err == nil && text[0] == '"' {
		text = quoted
	}
	before := r.at > 0 && strings.HasPrefix(r.lines[r.at-1], "--- ")
	switch {
	case mark == "---" && r.at > 0 && strings.HasPrefix(r.lines[r.at-1], "+++ "), mark == "+++" && !before:
		return fmt.Errorf("line %d of the diff: a line with --- and one with +++ belong together", r.at+1)
	case mark == "---" && (r.at+1 == len(r.lines) || !strings.HasPrefix(r.lines[r.at+1], "+++ ")):
		return fmt.Errorf("line %d of the diff: a line with +++ is missing behind it", r.at+1)
	case mark == "---" && text == "/dev/null":
		d.Creates = true
	case text == "/dev/null":
		return errors.New("the diff deletes the file")
	case !namesFile(text, want):
		return fmt.Errorf("the diff is for %q", text)
	}
	return nil
}

// namesFile reports whether the name in a diff is that of the path. Its first part may be a/ or b/, and an absolute path may
// be shortened.
func namesFile(name, p string) bool {
	p = path.Clean(p)
	for _, prefix := range []string{"", "a/", "b/"} {
		n, ok := strings.CutPrefix(name, prefix)
		if n = path.Clean(n); ok && n != ".." && !strings.HasPrefix(n, "../") &&
			(n == p || path.IsAbs(p) && strings.HasSuffix(p, "/"+strings.TrimPrefix(n, "/"))) {
			return true
		}
	}
	return false
}

var hunkHeader = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^@@ -(\d{1,9})(?:,(\d{1,9}))? \+\d{1,9}(?:,(\d{1,9}))? @@`)
})

func (r *diffReader) hunk(number int, creates bool) (h hunk, err error) {
	first := r.at
	m := hunkHeader().FindStringSubmatch(r.lines[first])
	if m == nil {
		return h, fmt.Errorf("line %d of the diff: the header of a hunk looks like @@ -12,3 +12,4 @@, with the line numbers and counts", first+1)
	}
	count := func(s string) int {
		if s == "" {
			return 1
		}
		n, _ := strconv.Atoi(s)
		return n
	}
	h.at, _ = strconv.Atoi(m[1])
	olds, news := count(m[2]), count(m[3])
	changes := false
	r.at++
	for len(h.before) < olds || len(h.after) < news || r.unended() {
		if r.at == len(r.lines) {
			return h, miscounted(number, first, olds, news, h)
		}
		line := r.lines[r.at]
		mark, text := line[0], line[1:]
		if line == "\n" { // an empty line of context that lost its space
			mark, text = ' ', line
		}
		switch mark {
		case ' ':
			h.before, h.after = append(h.before, text), append(h.after, text)
		case '-':
			h.before, changes = append(h.before, text), true
		case '+':
			h.after, changes = append(h.after, text), true
		case '\\':
			if err := r.unending(&h, first, olds, news); err != nil {
				return h, err
			}
		default:
			return h, miscounted(number, first, olds, news, h)
		}
		if len(h.before) > olds || len(h.after) > news {
			return h, miscounted(number, first, olds, news, h)
		}
		r.at++
	}
	switch {
	case !changes:
		return h, fmt.Errorf("hunk %d (line %d of the diff) changes nothing", number, first+1)
	case creates && (len(h.before) > 0 || number > 1):
		return h, errors.New("the diff creates the file, and has lines that are to be there before")
	case olds == 0 && !creates && h.at > 0:
		return h, fmt.Errorf("hunk %d (line %d of the diff) only adds lines: give a line of the file before or behind them, so that the place is certain", number, first+1)
	}
	return h, nil
}

// unended reports whether the line that follows says that the one before has no line break.
func (r *diffReader) unended() bool {
	return r.at < len(r.lines) && strings.HasPrefix(r.lines[r.at], "\\ ")
}

// unending takes the line break from the line before, on each side that has it. It has to be the last one of that side.
func (r *diffReader) unending(h *hunk, first, olds, news int) error {
	mark := r.lines[r.at-1][0]
	trim := func(list []string, whole int) bool {
		if len(list) == 0 || len(list) != whole {
			return false
		}
		list[len(list)-1] = strings.TrimSuffix(list[len(list)-1], "\n")
		return true
	}
	ok := r.at-1 > first && (mark == '-' || mark == '+' || mark == ' ')
	if ok && mark != '+' {
		ok = trim(h.before, olds)
	}
	if ok && mark != '-' {
		ok = trim(h.after, news)
		h.unending = true
	}
	if !ok {
		return fmt.Errorf("line %d of the diff: only the last line of a file is without a line break", r.at+1)
	}
	return nil
}

// miscounted says that the numbers of a hunk are not those of its lines, a fault that models make and that drops lines where
// it is not noticed.
func miscounted(number, first, olds, news int, h hunk) error {
	return fmt.Errorf("hunk %d (line %d of the diff) says that it has %d lines before and %d after the change, and its lines are others (%d and %d up to the first that does not fit); correct the numbers, or use the kind %s, which needs none",
		number, first+1, olds, news, len(h.before), len(h.after), NameFileEdit)
}

// rest refuses what follows the last hunk.
func (r *diffReader) rest(hunks int) error {
	for ; r.at < len(r.lines); r.at++ {
		line := r.lines[r.at]
		switch {
		case strings.TrimSpace(line) == "":
		case strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "diff "):
			return fmt.Errorf("line %d of the diff begins another file; it must change exactly this one", r.at+1)
		case line[0] == '+', line[0] == '-', line[0] == ' ':
			return fmt.Errorf("line %d of the diff stands behind the lines that hunk %d says it has; correct the numbers of its header, or use the kind %s, which needs none",
				r.at+1, hunks, NameFileEdit)
		default:
			return fmt.Errorf("line %d of the diff is no part of one: there is text behind the last hunk", r.at+1)
		}
	}
	return nil
}

// Apply returns the text with every hunk applied where it says, or a *ChangeError.
func (d Diff) Apply(text []byte) ([]byte, error) {
	lines := bytes.SplitAfter(text, []byte("\n"))
	if len(lines[len(lines)-1]) == 0 {
		lines = lines[:len(lines)-1]
	}
	var out bytes.Buffer
	next := 0 // of lines, the first that is not yet written
	for i, h := range d.hunks {
		from := max(h.at-1, 0)
		switch {
		case len(h.before) == 0 && len(lines) > 0:
			return nil, &ChangeError{Message: fmt.Sprintf("hunk %d is for an empty file, and the file is not empty", i+1)}
		case from < next:
			return nil, &ChangeError{Message: fmt.Sprintf("hunk %d begins before the end of the one above it", i+1)}
		}
		if line, ok := h.fits(lines, from); !ok {
			return nil, h.conflict(i+1, line, lines)
		}
		for _, line := range lines[next:from] {
			out.Write(line)
		}
		for _, line := range h.after {
			out.WriteString(line)
		}
		if next = from + len(h.before); h.unending && next < len(lines) {
			return nil, &ChangeError{Message: fmt.Sprintf("hunk %d ends the file at line %d, and the file goes on", i+1, next)}
		}
	}
	for _, line := range lines[next:] {
		out.Write(line)
	}
	return out.Bytes(), nil
}

// fits reports whether the lines of the hunk stand at a place, or else the number of the first that does not.
func (h *hunk) fits(lines [][]byte, from int) (line int, ok bool) {
	for i, want := range h.before {
		if from+i >= len(lines) || string(lines[from+i]) != want {
			return from + i + 1, false
		}
	}
	return 0, true
}

// conflict says which line is another one, and where the lines of the hunk stand instead, where that is one place.
func (h *hunk) conflict(number, line int, lines [][]byte) *ChangeError {
	e := &ChangeError{Message: fmt.Sprintf("hunk %d does not fit: line %d of the file is not the one that the diff has there", number, line)}
	if line > len(lines) {
		e.Message = fmt.Sprintf("hunk %d does not fit: the file has %d lines", number, len(lines))
	}
	// With the line break before, each find is the beginning of a line, and three searches are enough.
	text := append([]byte("\n"), bytes.Join(lines, nil)...)
	want := []byte("\n" + strings.Join(h.before, ""))
	if at := bytes.Index(text, want); at >= 0 && len(h.before) > 0 && !bytes.Contains(text[at+1:], want) {
		e.Message += fmt.Sprintf("; its lines stand at line %d", lineAt(text[1:], at))
	}
	return e
}
