package index

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"github.com/sheratan/sheratan/pipeline/job"
)

// SchemaError says that the database was made by another version of Sheratan. MoveAside and a new one are the way out.
type SchemaError struct {
	Path    string
	Version int
}

func (e *SchemaError) Error() string {
	return fmt.Sprintf("%s: index of schema version %d, and %d is needed", e.Path, e.Version, SchemaVersion)
}

// GarbageError says that the file is not a usable database. MoveAside and a new one are the way out.
type GarbageError struct {
	Path string
	Err  error
}

func (e *GarbageError) Error() string {
	return fmt.Sprintf("%s: not a usable index: %v", e.Path, e.Err)
}
func (e *GarbageError) Unwrap() error { return e.Err }

var errForeign = errors.New("a database of another program")

// ErrMoved says that the file is no longer at its path, or another one is. Opening it again is the way out.
var ErrMoved = errors.New("was moved away or deleted")

// fileError names the database in an error of SQLite.
type fileError struct {
	path string
	err  error
}

func (e *fileError) Error() string { return e.path + ": " + e.err.Error() }
func (e *fileError) Unwrap() error { return e.err }

// describe names path in an error of SQLite, once, and tells what is wrong with the file from what is wrong with the machine.
// Other errors stay as they are.
func describe(path string, err error) error {
	var file *fileError
	var schema *SchemaError
	var garbage *GarbageError
	var coded *sqlite3.Error
	var code sqlite3.ErrorCode
	switch {
	case err == nil, errors.As(err, &file), errors.As(err, &schema), errors.As(err, &garbage):
		return err
	case errors.As(err, &code) && (code == sqlite3.NOTADB || code == sqlite3.CORRUPT):
		return &GarbageError{Path: path, Err: code} // without those that ending the transaction brought, which say the same
	case errors.Is(err, sqlite3.NOTADB), errors.Is(err, sqlite3.CORRUPT), errors.Is(err, errForeign):
		return &GarbageError{Path: path, Err: err}
	case errors.As(err, &coded) && lacks(coded.Error()):
		return &GarbageError{Path: path, Err: err} // a table, column or index that our own statements name
	case errors.As(err, &coded), errors.As(err, &code), errors.Is(err, ErrMoved):
		return &fileError{path: path, err: err}
	default:
		return err
	}
}

// lacks reports whether SQLite misses something that the schema has.
func lacks(message string) bool {
	for _, what := range []string{"no such index", "no such table", "no such column"} {
		if strings.Contains(message, what) {
			return true
		}
	}
	return false
}

// TransitionError says that an event is not allowed in the state in which its job is.
type TransitionError struct {
	JobID string
	Event job.EventName
	From  job.Status // "" where there is no such job
}

func (e *TransitionError) Error() string {
	if e.From == "" {
		return fmt.Sprintf("%s: %s, and there is no such job", e.JobID, e.Event)
	}
	return fmt.Sprintf("%s: %s of a job that is %s", e.JobID, e.Event, e.From)
}

// EventError says that an event cannot be applied because of what is in it.
type EventError struct {
	Seq   int64
	Event job.EventName
	JobID string
	Err   error
}

func (e *EventError) Error() string {
	who := string(e.Event)
	if e.JobID != "" {
		who += " of " + e.JobID
	}
	return fmt.Sprintf("%s (event %d): %v", who, e.Seq, e.Err)
}

func (e *EventError) Unwrap() error { return e.Err }
