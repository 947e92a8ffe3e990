package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sheratan/sheratan/runtime/durable"
)

// Health is how a check came out.
type Health string

// The outcomes, in rising order.
const (
	HealthOK   Health = "ok"
	HealthWarn Health = "warn" // works, or less than it could be
	HealthBad  Health = "bad"  // something does not work, or is not safe
)

// Check is one thing that was looked at.
type Check struct {
	Name   string `json:"name"`
	Status Health `json:"status"`
	Detail string `json:"detail"`        // what was found, one line
	Fix    string `json:"fix,omitempty"` // what to do, a command where there is one; "" where nothing is to be done
}

// ProbeOptions are what Probe cannot find out by itself.
type ProbeOptions struct {
	Now       time.Time
	LastEvent time.Time                    // of the ledger; zero is none
	Known     func(id string) bool         // whether the ledger knows the job; nil leaves the queue unchecked
	LookPath  func(string) (string, error) // of programs; nil is exec.LookPath
}

// Probe looks at the folders of the workspace and at the machine. It changes nothing but for one file that it writes and
// removes to see whether it can. What it finds wrong is in the result, not an error.
func (w *Workspace) Probe(ctx context.Context, o ProbeOptions) []Check {
	p := prober{ws: w, o: o}
	p.git(ctx)
	p.fileSystem(w.Runtime())
	p.writing()
	p.clock()
	p.place()
	p.folders()
	p.users()
	p.inbox()
	p.claims()
	p.queue()
	return p.checks
}

// ProbeMachine looks at the machine alone, and at the file system of a folder where a workspace may be made.
func ProbeMachine(ctx context.Context, dir string, o ProbeOptions) []Check {
	p := prober{o: o}
	p.git(ctx)
	p.fileSystem(dir)
	p.clock()
	return p.checks
}

type prober struct {
	ws     *Workspace
	o      ProbeOptions
	checks []Check
}

func (p *prober) ok(name, format string, args ...any) {
	p.checks = append(p.checks, Check{Name: name, Status: HealthOK, Detail: fmt.Sprintf(format, args...)})
}

func (p *prober) add(name string, h Health, fix, format string, args ...any) {
	p.checks = append(p.checks, Check{Name: name, Status: h, Fix: fix, Detail: fmt.Sprintf(format, args...)})
}

func (p *prober) git(ctx context.Context) {
	look := p.o.LookPath
	if look == nil {
		look = exec.LookPath
	}
	const fix = "install git; the ledger's history is written without it, but it reads and packs it"
	path, err := look("git")
	if err != nil {
		p.add("git", HealthWarn, fix, "git is not installed")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		p.add("git", HealthWarn, fix, "%s --version: %v", path, err)
		return
	}
	p.ok("git", "%s, %s", strings.TrimSpace(strings.TrimPrefix(string(out), "git version ")), path)
}

// Least free space and inodes. A batch of events and documents has at most a few MiB.
const (
	lowSpace  = 256 << 20
	noSpace   = 16 << 20
	lowInodes = 5000
)

// fileSystem looks at the file system of dir, of which runtime/ is what matters.
func (p *prober) fileSystem(dir string) {
	fsys, err := durable.FileSystem(dir)
	if err != nil {
		p.add("file system", HealthBad, "mkdir -m 700 "+dir, "%v", err)
		return
	}
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Statfs(dir, &st) }); err != nil {
		p.add("file system", HealthBad, "", "%s: %v", dir, err)
		return
	}
	free := int64(st.Bavail) * int64(st.Bsize)
	size := fmt.Sprintf("%s, %s free", fsys.Name, humanBytes(free))
	switch {
	case fsys.Network:
		p.add("file system", HealthBad, "move the workspace to a local disk", "%s is a network file system (%s): locks and syncs do not hold", dir, fsys.Name)
	case unix.Access(dir, unix.W_OK) == unix.EROFS:
		p.add("file system", HealthBad, "mount -o remount,rw "+mountPoint(dir), "%s is read-only (%s)", dir, fsys.Name)
	case free < noSpace:
		p.add("file system", HealthBad, "free some space on "+mountPoint(dir), "%s is full: %s", dir, size)
	case free < lowSpace:
		p.add("file system", HealthWarn, "free some space on "+mountPoint(dir), "%s is nearly full: %s", dir, size)
	case st.Files > 0 && st.Ffree < lowInodes:
		p.add("file system", HealthWarn, "delete files on "+mountPoint(dir), "%s is nearly out of inodes: %d free", dir, st.Ffree)
	default:
		p.ok("file system", "%s", size)
	}
}

// mountPoint returns the uppermost parent of path on the same device.
func mountPoint(path string) string {
	dev, err := deviceOf(path)
	for err == nil && path != "/" {
		parent := path[:max(strings.LastIndexByte(path, '/'), 1)]
		above, err := deviceOf(parent)
		if err != nil || above != dev {
			break
		}
		path = parent
	}
	return path
}

func deviceOf(path string) (uint64, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Lstat(path, &st) })
	return uint64(st.Dev), err
}

func humanBytes(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1024, 0
	for f >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return fmt.Sprintf("%.1f %ciB", f, units[i])
}

// writing finds out whether a file can be written and synced: quotas, full disks and permissions all show here.
func (p *prober) writing() {
	path := p.ws.State() + "/.doctor.tmp"
	start := time.Now()
	err := writeProbe(path)
	took := time.Since(start)
	err = errors.Join(err, unlink(path))
	switch {
	case err == nil:
		p.ok("writing", "a file was written and synced in %s", took.Round(10*time.Microsecond))
	case errors.Is(err, unix.EROFS):
		p.add("writing", HealthBad, "mount -o remount,rw "+mountPoint(existing(path)), "%v", err)
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		p.add("writing", HealthBad, "free some space on "+mountPoint(existing(path)), "%v", err)
	case errors.Is(err, fs.ErrPermission):
		p.add("writing", HealthBad, fmt.Sprintf("run as the user whose workspace it is, or: sudo chown -R %d %s", os.Geteuid(), p.ws.Runtime()), "%v", err)
	default:
		p.add("writing", HealthBad, "", "%v", err)
	}
}

func writeProbe(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 64<<10))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// written lists folders whose time is that of the last file that was made in them.
func (p *prober) written() []string {
	if p.ws == nil {
		return nil
	}
	return []string{p.ws.LedgerDir(), p.ws.State(), p.ws.Inbox()}
}

// clock compares the time with that of the last event and of files that only this machine writes.
func (p *prober) clock() {
	const fix = "set the clock (timedatectl set-ntp true); until then events get the time of the last one"
	now := p.o.Now
	var latest time.Time
	for _, path := range p.written() {
		if info, err := os.Stat(path); err == nil && info.ModTime().After(latest) {
			latest = info.ModTime()
		}
	}
	switch behind := p.o.LastEvent.Sub(now); {
	case now.Before(time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)):
		p.add("clock", HealthBad, fix, "it says %s", now.UTC().Format(time.RFC3339))
	case behind > time.Second:
		p.add("clock", HealthWarn, fix, "it is %s behind the last event of the ledger", behind.Round(time.Second))
	case latest.Sub(now) > time.Minute:
		p.add("clock", HealthWarn, fix, "it is %s behind the newest folder of the workspace", latest.Sub(now).Round(time.Second))
	default:
		p.ok("clock", "%s", now.UTC().Format(time.RFC3339))
	}
}
