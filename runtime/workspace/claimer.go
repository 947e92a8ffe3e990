package workspace

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sheratan/sheratan/runtime/durable"
)

// SettleTime is how long a file must not have changed before it is taken as complete, where its content does not say
// that it is.
const SettleTime = 2 * time.Second

var (
	// ErrGone says that somebody else has taken the entry, or its writer has taken it back.
	ErrGone = errors.New("is no longer in the inbox")
	// ErrStuck says that this entry cannot be taken out of the inbox, by its permissions or because its folder is a
	// mount of its own. It stays, and the others are not concerned.
	ErrStuck = errors.New("cannot be taken out of the inbox")
	// ErrUnsettled says that the entry may still be growing. It is left where it is.
	ErrUnsettled = errors.New("has changed within the last two seconds")
)

// ClaimerOptions are what a Claimer takes from outside.
type ClaimerOptions struct {
	Now    func() time.Time // default time.Now
	Random io.Reader        // default crypto/rand
}

// Claimer takes entries out of the inbox, and puts new ones in. Its methods may be called at the same time.
//
// A claim belongs to the session that made it, as long as that is alive: another process can tell by a lock that the
// session holds, and only takes up what a dead one has left.
type Claimer struct {
	ws     *Workspace
	now    func() time.Time
	random io.Reader

	mu      sync.Mutex
	session [4]byte
	held    *durable.LockedFile // of the session; nil until the first claim
}

// Claimer begins a session. Nothing is opened or locked before the first claim.
func (w *Workspace) Claimer(o ClaimerOptions) *Claimer {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	return &Claimer{ws: w, now: o.Now, random: o.Random}
}

// Close ends the session. Claims that are still there are left to whoever asks next.
func (b *Claimer) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held == nil {
		return nil
	}
	// While it is still locked, so that nobody can mistake a file that is about to go for that of a living session.
	err := os.Remove(b.held.Path())
	err = errors.Join(err, b.held.Unlock())
	b.held = nil
	return err
}

// begin takes the lock of the session, before its first claim.
func (b *Claimer) begin() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.held == nil {
		if _, err := io.ReadFull(b.random, b.session[:]); err != nil {
			return err
		}
		path := b.ws.claimer(b.session)
		held, err := durable.TryLock(path)
		if errors.Is(err, durable.ErrLocked) {
			continue // another session drew the same number
		}
		if errors.Is(err, fs.ErrNotExist) {
			if err = os.MkdirAll(b.ws.claimers(), 0o700); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		b.held = held
	}
	return nil
}

func (w *Workspace) claimer(session [4]byte) string {
	return fmt.Sprintf("%s/%x", w.claimers(), session)
}

// Take claims an entry: it reads it in place, at most limit bytes, and renames it into the folder of claims.
//
// A .json file that whole accepts (its bytes parse) is taken at once, since half a document parses as little as none. A
// .jsonl file, and a .json file that is not accepted, is taken once it has settled, else the error is ErrUnsettled. What
// is not a file is taken unread. Of a .jsonl file nothing is read here: that is for Open.
//
// Other errors that say nothing about the entries beside this one are ErrGone and ErrStuck.
func (b *Claimer) Take(e Entry, limit int64, whole func([]byte) bool) (Claim, error) {
	path := e.Path
	read := limit
	if e.Lines() {
		read = -1
	}
	c, err := readContent(path, read)
	if err != nil {
		return Claim{}, untaken(path, err)
	}
	if !b.complete(e, &c, whole) {
		return Claim{}, fmt.Errorf("%s: %w", path, ErrUnsettled)
	}
	if err := b.begin(); err != nil {
		return Claim{}, fmt.Errorf("claim %s: %w", path, err)
	}
	token, err := newToken(b.session, b.random, e)
	if err != nil {
		return Claim{}, fmt.Errorf("claim %s: %w", path, err)
	}
	to := b.ws.Claimed(token)
	if err := b.move(path, to); err != nil {
		return Claim{}, untaken(path, err)
	}
	claim, _ := newClaim(token, c)
	same, err := b.verify(&claim, read)
	if err != nil {
		return claim, err
	}
	if !same && !b.complete(e, &claim.Content, whole) {
		// Its writer put another file under this name while it was read, and has not finished that one.
		if err := durable.RenameNoReplace(to, path); err == nil {
			return Claim{}, fmt.Errorf("%s: %w", path, ErrUnsettled)
		}
	}
	if e.Problem == "" {
		// Rarely there, so the error nearly always is that there is none; what fails otherwise is found by Signature.
		_ = durable.RenameNoReplace(path+signatureSuffix, to+signatureSuffix)
	}
	return claim, nil
}

// complete reports whether the file can be taken as its writer meant it.
func (b *Claimer) complete(e Entry, c *Content, whole func([]byte) bool) bool {
	if c.Type != TypeFile || e.Ready() || settled(c.Changed, b.now()) {
		return true
	}
	if e.Lines() {
		return false
	}
	data, ok := c.Whole()
	return ok && whole(data)
}

// move renames into the folder of claims, which it makes again where it is missing.
func (b *Claimer) move(from, to string) error {
	err := durable.RenameNoReplace(from, to)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, statErr := os.Stat(b.ws.ClaimedDir()); statErr == nil {
		return err
	}
	if err := os.MkdirAll(b.ws.ClaimedDir(), 0o700); err != nil {
		return err
	}
	return durable.RenameNoReplace(from, to)
}

// verify makes sure that what was claimed is what was read, else it reads the claim and is false.
func (b *Claimer) verify(c *Claim, limit int64) (bool, error) {
	path := b.ws.Claimed(c.Token)
	var st unix.Stat_t
	if err := retry(func() error { return unix.Lstat(path, &st) }); err != nil {
		return false, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if idOf(&st) == c.Content.id {
		return true, nil
	}
	content, err := readContent(path, limit)
	if err != nil {
		return false, err
	}
	c.Content, c.FileType = content, content.Type
	return false, nil
}

// untaken tells what concerns one entry from what concerns all, as a full disk does.
func untaken(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", path, ErrGone)
	}
	for _, e := range []error{fs.ErrPermission, unix.EXDEV, unix.EBUSY, unix.ENAMETOOLONG} {
		if errors.Is(err, e) {
			var link *os.LinkError
			if errors.As(err, &link) {
				err = link.Err // the new name is another one each time, and a warning is given once
			}
			return fmt.Errorf("%s: %w: %w", path, ErrStuck, err)
		}
	}
	return err
}

// Orphans lists the claims of sessions that are no longer alive, oldest first; nothing of them has been read. They are
// work that an earlier command began and did not bring into the ledger, or whose files it did not remove.
func (b *Claimer) Orphans() ([]Claim, error) {
	list, err := os.ReadDir(b.ws.ClaimedDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var left []Claim
	alive := map[[4]byte]bool{}
	for _, d := range list {
		parts, ok := parseToken(d.Name())
		if !ok || strings.HasSuffix(d.Name(), signatureSuffix) {
			continue // not ours; doctor names it
		}
		session := [4]byte(parts.uuid[:4])
		lives, asked := alive[session]
		if !asked {
			if lives, err = b.alive(session); err != nil {
				return nil, err
			}
			alive[session] = lives
		}
		if lives {
			continue
		}
		c, ok, err := b.ws.orphan(d.Name())
		if err != nil {
			return nil, err
		}
		if ok {
			left = append(left, c)
		}
	}
	slices.SortFunc(left, oldestFirst)
	return left, nil
}

// alive reports whether the session is that of a running process; the lock file of a dead one is deleted.
func (b *Claimer) alive(session [4]byte) (bool, error) {
	b.mu.Lock()
	mine := b.held != nil && session == b.session
	b.mu.Unlock()
	if mine {
		return true, nil
	}
	path := b.ws.claimer(session)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	lock, err := durable.TryLock(path)
	if errors.Is(err, durable.ErrLocked) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return false, errors.Join(os.Remove(path), lock.Unlock())
}
