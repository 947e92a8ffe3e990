package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sheratan/sheratan/hosts/sandbox"
)

// folders hands out private folders. A folder is locked (flock on the directory) for as long as this process lives, so
// that several processes share a WorkDir, and the folder of one that died is free at once.
type folders struct {
	dir  string
	warn func(format string, args ...any)

	mu       sync.Mutex
	free     []*folder
	next     int // number to try first
	looked   bool
	cleaning int           // folders that are emptied beside the work
	stop     chan struct{} // ends that; what is left then is for the next process
	wg       sync.WaitGroup
}

// Bounds of emptying a folder: how long an attempt, or the one that comes next, waits for that before it is done beside
// the work, and how many are at a time. With more, whoever left so much waits for its end.
const (
	emptyFor    = time.Second
	cleaningMax = 4
)

// folder is a directory with the directories home and tmp in it and nothing else, all three empty otherwise and open.
type folder struct {
	path   string
	handed bool        // it was another user's
	dirs   [3]*os.File // itself, home, tmp
	traits [3]string   // of them, when they were made; "" is not known
	stamps [3]int64    // when they were changed last, as they should be, in ns; 0 is not known
}

var inner = [3]string{".", "home", "tmp"}

func (f *folders) take() (*folder, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.free); n > 0 {
		taken := f.free[n-1]
		f.free = f.free[:n-1]
		return taken, nil
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return nil, err
	}
	if !f.looked {
		f.looked = true
		if left := f.leftovers(); len(left) > 0 {
			f.background(func() { f.takeUp(left) })
		}
	}
	for tries := 0; tries < 10000; tries++ {
		path := filepath.Join(f.dir, strconv.Itoa(f.next))
		f.next++
		dir, err := lockDir(path)
		if err != nil {
			return nil, err
		}
		if dir == nil {
			continue // another process has it
		}
		made := &folder{path: path}
		made.dirs[0] = dir
		if err := made.reset(&removal{until: time.Now().Add(emptyFor), stop: f.stop}); err != nil {
			f.leave(made, err)
			continue // the next one will do
		}
		return made, nil
	}
	return nil, fmt.Errorf("%s: all folders are taken or cannot be cleaned", f.dir)
}

// give takes a folder back, emptied. One that takes longer is emptied beside the work, one that cannot be emptied is let go.
func (f *folders) give(d *folder) {
	if !d.pristine() {
		r := &removal{until: time.Now().Add(emptyFor), stop: f.stop}
		f.mu.Lock()
		if f.cleaning >= cleaningMax {
			r.until = time.Time{}
		}
		f.mu.Unlock()
		if err := d.reset(r); err != nil {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.leave(d, err)
			return
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.free = append(f.free, d)
}

// leave has somebody else go on with a folder that could not be emptied in time, or lets it go for another reason, which it
// tells. The mutex is held.
func (f *folders) leave(d *folder, err error) {
	if !errors.Is(err, errMore) {
		d.close()
		f.warn("%s: what a job left there cannot be removed: %v", d.path, err)
		return
	}
	f.cleaning++
	f.background(func() {
		err := d.reset(&removal{stop: f.stop})
		f.mu.Lock()
		defer f.mu.Unlock()
		f.cleaning--
		if err == nil {
			f.free = append(f.free, d)
			return
		}
		d.close()
		if !errors.Is(err, errMore) {
			f.warn("%s: what a job left there cannot be removed: %v", d.path, err)
		}
	})
}

// background does something beside the work, until close. The mutex is held.
func (f *folders) background(do func()) {
	if f.stop == nil {
		f.stop = make(chan struct{})
	}
	f.wg.Go(do)
}

// leftovers lists the folders that look as if somebody had left something in them, or were at work there.
func (f *folders) leftovers() (left []string) {
	entries, _ := os.ReadDir(f.dir)
	for _, e := range entries {
		path := filepath.Join(f.dir, e.Name())
		if _, err := strconv.Atoi(e.Name()); err == nil && !clean(path) {
			left = append(left, path)
		}
	}
	return left
}

// takeUp empties what earlier processes left. Folders that somebody has are locked.
func (f *folders) takeUp(left []string) {
	for _, path := range left {
		dir, err := lockDir(path)
		if err != nil || dir == nil {
			continue
		}
		d := &folder{path: path}
		d.dirs[0] = dir
		if err := d.reset(&removal{stop: f.stop}); err != nil && !errors.Is(err, errMore) {
			f.warn("%s: what a job left there cannot be removed: %v", path, err)
		}
		d.close()
	}
}

// clean reports whether a folder looks as if nobody had left anything in it.
func clean(path string) bool {
	for i, name := range inner {
		dir, err := openDir(filepath.Join(path, name))
		if err != nil {
			return false
		}
		n := entries(dir)
		dir.Close()
		if n != [...]int{2, 0, 0}[i] {
			return false
		}
	}
	return true
}

// close waits a moment for folders that are still being emptied; what is left then is for the next process.
func (f *folders) close() {
	emptied := make(chan struct{})
	go func() {
		f.wg.Wait()
		close(emptied)
	}()
	select {
	case <-emptied:
	case <-time.After(emptyFor):
	}
	f.mu.Lock()
	if f.stop != nil {
		close(f.stop)
	}
	f.mu.Unlock()
	<-emptied
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stop = nil
	for _, d := range f.free {
		d.close()
	}
	f.free = nil
}

// lockDir makes and locks a directory. It returns nil where somebody else has the lock.
func lockDir(path string) (*os.File, error) {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	dir, err := openDir(path)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil && sameDir(dir, path) {
		return dir, nil
	}
	dir.Close()
	if err == nil || err == unix.EWOULDBLOCK {
		return nil, nil
	}
	return nil, fmt.Errorf("%s: %w", path, err)
}

// sameDir reports whether path leads to the open directory. A job can have removed its folder, and another process made
// one of that name.
func sameDir(dir *os.File, path string) bool {
	open, err := dir.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(path)
	return err == nil && os.SameFile(open, named)
}

func openDir(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
}

// hand gives the folder, and what was put into it, to the user of the jobs: itself last, since from then on nothing may be done in it
// by a name.
func (d *folder) hand(to *sandbox.User) error {
	if to == nil {
		return nil
	}
	d.handed = true
	err := filepath.WalkDir(d.path, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == d.path {
			return err
		}
		return os.Lchown(path, to.UID, to.GID)
	})
	if err != nil {
		return err
	}
	return d.dirs[0].Chown(to.UID, to.GID)
}

func (d *folder) close() {
	for i, f := range d.dirs {
		if f != nil {
			f.Close()
		}
		d.dirs[i] = nil
	}
}

// pristine reports whether a job left the folder as it found it, which most do. The directories are still open: it is
// enough to read them again, and to see that their names still lead to them.
func (d *folder) pristine() bool {
	if d.untouched() {
		return true
	}
	var stamps [3]int64
	for i, f := range d.dirs {
		if f == nil {
			return false
		}
		var st, named unix.Stat_t
		if unix.Fstat(int(f.Fd()), &st) != nil || st.Mode&0o7777 != 0o700 {
			return false
		}
		if changed := time.Unix(st.Ctim.Unix()); time.Since(changed) > stampSlack {
			stamps[i] = changed.UnixNano()
		}
		if now, err := traits(f); err != nil || now != d.traits[i] {
			return false
		}
		if i > 0 && (unix.Fstatat(int(d.dirs[0].Fd()), inner[i], &named, unix.AT_SYMLINK_NOFOLLOW) != nil ||
			named.Ino != st.Ino || named.Dev != st.Dev) {
			return false
		}
		if entries(f) != [...]int{2, 0, 0}[i] {
			return false
		}
	}
	d.stamps = stamps
	return true
}

// stampSlack is how old a change must be for the next one to have another time: some disks keep whole seconds.
const stampSlack = 2 * time.Second

// untouched reports whether nothing has changed since the folder was looked at: names, mode, owner, attributes and flags of a
// directory change only with its ctime, which nobody can set. Most jobs leave their folder alone, and this takes 2 µs where
// the look takes 25.
func (d *folder) untouched() bool {
	for i, f := range d.dirs {
		var st unix.Stat_t
		if f == nil || d.stamps[i] == 0 || unix.Fstat(int(f.Fd()), &st) != nil || st.Ctim.Nano() != d.stamps[i] {
			return false
		}
	}
	return true
}

// entries counts the names in a directory, up to 3.
func entries(f *os.File) int {
	if _, err := unix.Seek(int(f.Fd()), 0, 0); err != nil {
		return 3
	}
	var buf [512]byte
	count := 0
	for count < 3 {
		n, err := unix.ReadDirent(int(f.Fd()), buf[:])
		if err != nil {
			return 3
		}
		if n == 0 {
			return count
		}
		_, more, _ := unix.ParseDirent(buf[:n], -1, nil)
		count += more
	}
	return 3
}

// reset makes the folder as it should be.
func (d *folder) reset(r *removal) error {
	d.stamps = [3]int64{}
	for i := 1; i < len(d.dirs); i++ {
		if d.dirs[i] != nil {
			d.dirs[i].Close()
			d.dirs[i] = nil
		}
	}
	if !sameDir(d.dirs[0], d.path) {
		return fmt.Errorf("%s: was removed or replaced", d.path)
	}
	if d.handed {
		if err := d.dirs[0].Chown(os.Geteuid(), os.Getegid()); err != nil {
			return err
		}
	}
	if err := d.dirs[0].Chmod(0o700); err != nil {
		return err
	}
	if err := r.empty(d.dirs[0]); err != nil {
		return err
	}
	if now, err := traits(d.dirs[0]); err != nil || now != d.traits[0] {
		if err := d.renew(); err != nil {
			return err
		}
	}
	for i := 1; i < len(d.dirs); i++ {
		path := filepath.Join(d.path, inner[i])
		if err := os.Mkdir(path, 0o700); err != nil {
			return err
		}
		var err error
		if d.dirs[i], err = openDir(path); err != nil {
			return err
		}
		if d.traits[i], err = traits(d.dirs[i]); err != nil {
			return err
		}
	}
	return nil
}

// renew puts a new directory, locked, in the place of one that is empty: a job can have given it an ACL, an attribute or a
// flag, which emptying does not take away.
func (d *folder) renew() error {
	path, err := os.MkdirTemp(filepath.Dir(d.path), ".new-")
	if err != nil {
		return err
	}
	fresh, err := openDir(path)
	if err == nil {
		if err = unix.Flock(int(fresh.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
			if d.traits[0], err = traits(fresh); err == nil {
				err = unix.Rename(path, d.path) // os.Rename refuses folders
			}
		}
		if err != nil {
			fresh.Close()
		}
	}
	if err != nil {
		os.Remove(path)
		return fmt.Errorf("%s: making it anew: %w", d.path, err)
	}
	d.dirs[0].Close()
	d.dirs[0] = fresh
	return nil
}
