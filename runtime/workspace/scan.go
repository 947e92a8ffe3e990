package workspace

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sheratan/sheratan/pipeline/job"
)

// Scanner lists the inbox a few names at a time, the same number of each source in turn, so that a folder with 100,000
// names costs the others nothing. Within a folder the order is that of the file system, sorted by name in each portion.
//
// What is claimed while a scanner is open does not disturb it; what is added may or may not be seen by it, unless Renew is called.
type Scanner struct {
	ws      *Workspace
	folders []*folderScan // in the order in which they were found; the inbox itself is the first
	next    int           // whose turn it is
	known   map[string]bool
	passed  func(Stray) bool // what was told of before and is not to be noted; nil is nothing
	strays  []Stray
	noted   map[string]bool // paths of strays
}

// Stray is a name in the inbox that is left alone, as it was found: no proposal is in it.
type Stray struct {
	Path   string // relative to the workspace, escaped
	Text   string // what is wrong with it
	Size   int64
	Change int64 // its mtime, in nanoseconds since 1970; with Size it tells whether it is what it was

	Passing bool `json:"-"` // it is the machine that is out of something, so that this is news each time
}

// StrayPath is the absolute path of a stray.
func (w *Workspace) StrayPath(s Stray) string { return w.path(unescapeName(s.Path)) }

func (s Stray) String() string { return s.Path + ": " + s.Text }

type folderScan struct {
	source string
	dir    *os.File
	done   bool
	again  bool // it was listed to its end before
}

// Scan begins a listing of the inbox. The folders of the sources named are opened at once; those of others are found
// as the listing of the inbox itself proceeds. A missing inbox is an error that satisfies fs.ErrNotExist.
func (w *Workspace) Scan(sources ...string) (*Scanner, error) {
	s := &Scanner{ws: w, known: map[string]bool{}, noted: map[string]bool{}}
	if err := s.open(SourceInbox, w.Inbox()); err != nil {
		return nil, err
	}
	for _, source := range sources {
		if source == SourceInbox || s.known[source] || !job.ValidID(source) {
			continue
		}
		// A source that has no folder has proposed nothing; one whose folder is a link is reported when it is listed.
		if s.open(source, w.InboxOf(source)) == nil {
			s.known[source] = true
		}
	}
	return s, nil
}

func (s *Scanner) open(source, path string) error {
	dir, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	s.folders = append(s.folders, &folderScan{source: source, dir: dir})
	return nil
}

// Next returns the next entries, at most n of the source whose turn it is. An empty portion does not mean the end: that
// is io.EOF.
func (s *Scanner) Next(n int) ([]Entry, error) {
	for range s.folders {
		f := s.folders[s.next%len(s.folders)]
		s.next++
		if f.done {
			continue
		}
		list, err := f.dir.ReadDir(max(n, 1))
		if err != nil {
			f.done, f.again = true, true
			closeErr := f.dir.Close()
			if !errors.Is(err, io.EOF) {
				return nil, err
			}
			if closeErr != nil {
				return nil, closeErr
			}
			continue
		}
		slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
		entries := make([]Entry, 0, len(list))
		for _, d := range list {
			if e, ok := s.entry(f.source, d.Name(), typeOfMode(d.Type())); ok {
				entries = append(entries, e)
			}
		}
		return entries, nil
	}
	return nil, io.EOF
}

// Renew begins the folders that were listed to their end again, as long as there is one that was not yet: what comes in while a
// long folder is listed does not have to wait for the end of that. A caller that calls it after each portion comes to an end
// when the longest folder does.
func (s *Scanner) Renew() error {
	first := false
	for _, f := range s.folders {
		first = first || !f.again
	}
	if !first {
		return nil
	}
	for _, f := range s.folders {
		if !f.done {
			continue
		}
		path := s.ws.Inbox()
		if f.source != SourceInbox {
			path = s.ws.InboxOf(f.source)
		}
		dir, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		f.dir, f.done = dir, false
	}
	return nil
}

// entry judges one name. It is false for what is not to be taken.
func (s *Scanner) entry(source, name, t string) (Entry, bool) {
	e := Entry{Source: source, Name: name, Path: s.ws.InboxOf(source) + "/" + name, Type: t}
	if ignored(name) {
		return e, false
	}
	// The test for "." above has taken care of .sheratan and the like; a folder in the inbox itself is a source.
	if t == TypeFolder && source == SourceInbox {
		return s.folder(e)
	}
	switch {
	case t != TypeFile && t != TypeUnknown:
		e.Problem = ProblemType
	case strings.HasSuffix(name, signatureSuffix):
		return e, false
	case !proposalName(name):
		s.note(e, "is no proposal: its name ends neither in .json nor in .jsonl")
		return e, false
	case badName(name):
		e.Problem = ProblemName
	}
	return e, true
}

func (s *Scanner) folder(e Entry) (Entry, bool) {
	if s.known[e.Name] {
		return e, false
	}
	if !job.ValidID(e.Name) {
		e.Problem = ProblemSource
		return e, true
	}
	err := s.open(e.Name, s.ws.InboxOf(e.Name))
	switch {
	case err == nil:
		s.known[e.Name] = true
		return e, false
	case errors.Is(err, fs.ErrNotExist):
		return e, false
	default:
		s.note(e, "cannot be listed: "+err.Error())
		if n := len(s.strays); n > 0 && (errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOMEM)) {
			s.strays[n-1].Passing = true
		}
		return e, false
	}
}

func (s *Scanner) note(e Entry, text string) {
	if len(s.strays) >= maxNotes {
		return
	}
	if s.noted[e.Path] {
		return
	}
	s.noted[e.Path] = true
	stray := Stray{Path: s.ws.Rel(s.ws.InboxOf(e.Source)) + "/" + EscapeName(e.Name), Text: text}
	if info, err := os.Lstat(e.Path); err == nil {
		stray.Size, stray.Change = info.Size(), info.ModTime().UnixNano()
	}
	if s.passed == nil || !s.passed(stray) {
		s.strays = append(s.strays, stray)
	}
}

const maxNotes = 20

// PassOver makes the scanner ask told of each stray before it notes it. Those for which it is true do not count.
func (s *Scanner) PassOver(told func(Stray) bool) { s.passed = told }

// Strays returns what was seen so far and left alone, at most maxNotes: names that are not those of proposals, folders
// that cannot be listed.
func (s *Scanner) Strays() []Stray { return s.strays }

// CountInbox counts what waits in the inbox, and stops at limit. It also returns the strays that it saw meanwhile.
func (w *Workspace) CountInbox(limit int) (int, []Stray, error) {
	s, err := w.Scan()
	if err != nil {
		return 0, nil, err
	}
	n := 0
	for n < limit {
		entries, nextErr := s.Next(min(limit, 1000))
		if nextErr == io.EOF {
			break
		}
		if err = nextErr; err != nil {
			break
		}
		n += len(entries)
	}
	return min(n, limit), s.Strays(), errors.Join(err, s.Close())
}

// Sources lists the sources whose folders were found so far.
func (s *Scanner) Sources() []string {
	names := make([]string, 0, len(s.folders))
	for _, f := range s.folders {
		names = append(names, f.source)
	}
	return names
}

// Close ends the listing.
func (s *Scanner) Close() error {
	var err error
	for _, f := range s.folders {
		if !f.done {
			f.done = true
			err = errors.Join(err, f.dir.Close())
		}
	}
	return err
}
