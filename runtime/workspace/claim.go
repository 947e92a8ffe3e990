package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sheratan/sheratan/runtime/durable"
)

// Claim is an entry that was taken out of the inbox. It lies in the folder of claims until Remove, MoveTo or Return.
type Claim struct {
	Token    string // UUID~SOURCE~NAME, the name of the file
	Source   string
	Name     string // of the inbox file, escaped by EscapeName and perhaps shortened
	Lines    bool   // one proposal per line
	FileType string // "" is a regular file; nothing else is read
	Content  Content
}

// newClaim describes the claim with the token; false where it is not one.
func newClaim(token string, c Content) (Claim, bool) {
	p, ok := parseToken(token)
	return Claim{
		Token:    token,
		Source:   p.source,
		Name:     p.file,
		Lines:    strings.HasSuffix(p.file, ".jsonl"),
		FileType: c.Type,
		Content:  c,
	}, ok
}

// Load reads at most limit bytes of a claim into its Content; of orphans nothing has been read before.
func (b *Claimer) Load(c *Claim, limit int64) error {
	content, err := readContent(b.ws.Claimed(c.Token), limit)
	if err != nil {
		return err
	}
	c.Content, c.FileType = content, content.Type
	return nil
}

// Open opens a claim that is a regular file, without following a link or waiting for a writer.
func (b *Claimer) Open(c Claim) (*File, error) { return openRegular(b.ws.Claimed(c.Token)) }

// Signature returns the signature that came with a claim: the file beside it in the inbox whose name is that of the
// proposal with .sig appended, at most maxSignature bytes. It is nil where there is none.
func (b *Claimer) Signature(c Claim) ([]byte, error) {
	for _, path := range b.signaturePaths(c) {
		content, err := readContent(path, maxSignature)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		data, whole := content.Whole()
		if !whole {
			// It is there and cannot be one. What is not a signature verifies nothing.
			return []byte{}, nil
		}
		return data, nil
	}
	return nil, nil
}

// maxSignature is far more than any armored SSH signature has.
const maxSignature = 16 << 10

// signaturePaths lists where the signature may lie: beside the claim, or still in the inbox where a crash came between
// the two renames.
func (b *Claimer) signaturePaths(c Claim) []string {
	paths := []string{b.ws.Claimed(c.Token) + signatureSuffix}
	if !strings.ContainsAny(c.Name, "%~") {
		paths = append(paths, b.ws.InboxOf(c.Source)+"/"+c.Name+signatureSuffix)
	}
	return paths
}

// Remove deletes a claim, once everything in it is in the ledger. One that is gone already is no error.
func (b *Claimer) Remove(c Claim) error {
	path := b.ws.Claimed(c.Token)
	if err := unlink(path); err != nil {
		return err
	}
	return unlink(path + signatureSuffix)
}

func unlink(path string) error {
	err := retry(func() error { return unix.Unlink(path) })
	if err != nil && err != unix.ENOENT {
		return &fs.PathError{Op: "remove", Path: path, Err: err}
	}
	return nil
}

// MoveTo moves what was claimed, whatever it is, to dir/name, so that nothing of it is lost. dir is made where it is
// missing. Where the claim has been moved before, or dir/name is taken, because a crash came in between, the claim is
// removed; a folder in that case is left among the claims.
func (b *Claimer) MoveTo(c Claim, dir, name string) error {
	from, to := b.ws.Claimed(c.Token), dir+"/"+name
	err := durable.RenameNoReplace(from, to)
	if errors.Is(err, fs.ErrNotExist) {
		if _, statErr := os.Lstat(from); errors.Is(statErr, fs.ErrNotExist) {
			return b.Remove(c)
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		err = durable.RenameNoReplace(from, to)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return b.Remove(c)
}

// Return puts a claim back into the inbox under its own name, or under another one where that is taken; for a command
// that gives up before the claim is in the ledger.
func (b *Claimer) Return(c Claim) error {
	p, ok := parseToken(c.Token)
	if !ok {
		return fmt.Errorf("%s: is not a claim", c.Token)
	}
	from, dir := b.ws.Claimed(c.Token), b.ws.InboxOf(p.source)
	name := unescapeName(p.file)
	err := durable.RenameNoReplace(from, dir+"/"+name)
	if errors.Is(err, fs.ErrExist) {
		name = p.uuid.String() + "-" + p.file
		err = durable.RenameNoReplace(from, dir+"/"+name)
	}
	if err != nil {
		return err
	}
	err = durable.RenameNoReplace(from+signatureSuffix, dir+"/"+name+signatureSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// orphan describes a claim that was left behind; false where it is gone.
func (w *Workspace) orphan(token string) (Claim, bool, error) {
	path := w.Claimed(token)
	var st unix.Stat_t
	err := retry(func() error { return unix.Lstat(path, &st) })
	if err == unix.ENOENT {
		return Claim{}, false, nil
	}
	if err != nil {
		return Claim{}, false, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	c, ok := newClaim(token, contentOf(&st))
	return c, ok, nil
}

// oldestFirst orders claims by when they were claimed, which is when their names last changed.
func oldestFirst(a, b Claim) int {
	if c := a.Content.Changed.Compare(b.Content.Changed); c != 0 {
		return c
	}
	return strings.Compare(a.Token, b.Token)
}

// settled judges by the time of the last change alone, which no program can set. A time well in the future is one from
// before the clock was set back.
func settled(changed, now time.Time) bool {
	age := now.Sub(changed)
	return age >= SettleTime || age <= -SettleTime
}
