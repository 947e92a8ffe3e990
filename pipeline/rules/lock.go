package rules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/sheratan/sheratan/pipeline/job"
	"github.com/sheratan/sheratan/runtime/durable"
	"github.com/sheratan/sheratan/runtime/workspace"
	"github.com/sheratan/sheratan/schemas"
)

// SchemaLock is the value of $schema in config/sheratan.lock.json.
const SchemaLock = "sheratan.config-lock/v1"

// LockFile is config/sheratan.lock.json. While it is there, only rules with this digest are loaded.
type LockFile struct {
	Schema   string `json:"$schema"`
	Rules    string `json:"rules_sha256"`
	LockedAt string `json:"locked_at"`
}

// LockedError says that the rules are not those that were locked.
type LockedError struct {
	File       string
	Want, Have string // digests; Want is "" where the file cannot be read
	Err        error
}

func (e *LockedError) Error() string {
	const way = "review what changed in config/ and in the programs that exec rules name, then: sheratan config lock; or delete the file"
	if e.Err != nil {
		return fmt.Sprintf("%s: %v; %s", e.File, e.Err, way)
	}
	return fmt.Sprintf("%s: the rules have the digest %.12s…, locked is %.12s…; %s", e.File, e.Have, e.Want, way)
}

func (e *LockedError) Unwrap() error { return e.Err }

// checkLock compares a digest with the locked one. A lock that cannot be read locks everything out.
func checkLock(ws *workspace.Workspace, digest string) error {
	path := ws.ConfigLock()
	text, err := workspace.ReadText(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	e := &LockedError{File: path, Have: digest, Err: err}
	if err != nil {
		return e
	}
	var l LockFile
	if e.Err = schemas.Unmarshal(text, &l); e.Err != nil {
		return e
	}
	if l.Schema != SchemaLock {
		e.Err = fmt.Errorf("$schema is %q, %q is expected", l.Schema, SchemaLock)
		return e
	}
	if e.Want = l.Rules; l.Rules == digest {
		return nil
	}
	return e
}

// Lock pins the present rules of a workspace, whatever an older lock says, and returns their digest. Rules that do not
// load cannot be locked.
func Lock(ctx context.Context, ws *workspace.Workspace, now time.Time) (digest string, err error) {
	r, err := Load(ctx, ws, Options{Unlocked: true})
	if err != nil {
		return "", err
	}
	defer r.Close()
	text, err := schemas.Marshal(LockFile{Schema: SchemaLock, Rules: r.Digest, LockedAt: job.FormatTime(now)})
	if err != nil {
		return "", err
	}
	return r.Digest, durable.WriteFile(ws.ConfigLock(), append(pretty(text), '\n'), 0o644)
}
