package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sheratan/sheratan/pipeline/job"
)

// folders looks at each folder of the layout: is it there, is it ours, can we write, can others?
func (p *prober) folders() {
	before := len(p.checks)
	var devices []uint64
	for _, f := range layout {
		path := p.ws.path(f.name)
		var st unix.Stat_t
		err := retry(func() error { return unix.Lstat(path, &st) })
		switch {
		case err == unix.ENOENT:
			p.add(f.name, HealthWarn, fmt.Sprintf("mkdir -m %o %s", f.mode, path), "is missing; the next command that needs it makes it again")
			continue
		case err != nil:
			p.add(f.name, HealthBad, "", "%v", err)
			continue
		case typeOfStat(&st) == TypeSymlink && !strings.HasPrefix(f.name, "runtime"):
			continue // people may keep what they write elsewhere
		case typeOfStat(&st) != TypeFolder:
			p.add(f.name, HealthBad, "move it away", "is not a folder but a %s", orFile(typeOfStat(&st)))
			continue
		}
		p.folder(f, path, &st)
		if strings.HasPrefix(f.name, "runtime/inbox") || f.name == "runtime/.sheratan/claimed" || strings.HasPrefix(f.name, "runtime/queue/") {
			devices = append(devices, uint64(st.Dev))
		}
	}
	if len(slices.Compact(slices.Sorted(slices.Values(devices)))) > 1 {
		p.add("runtime", HealthBad, "keep inbox, queue and .sheratan on one file system", "its folders are on different file systems, so files cannot be moved between them in one step")
	}
	if len(p.checks) == before {
		p.ok("folders", "all %d there, with the right owner and permissions", len(layout))
	}
}

func orFile(t string) string {
	if t == TypeFile {
		return "file"
	}
	return t
}

func (p *prober) folder(f folder, path string, st *unix.Stat_t) {
	mode := fs.FileMode(st.Mode & 0o777)
	machine := strings.HasPrefix(f.name, "runtime")
	switch {
	case machine && os.Geteuid() != 0 && int(st.Uid) != os.Geteuid():
		p.add(f.name, HealthBad, fmt.Sprintf("sudo chown %d %s", os.Geteuid(), path), "belongs to uid %d, this is uid %d", st.Uid, os.Geteuid())
	case unix.Access(path, unix.R_OK|unix.X_OK) != nil || machine && unix.Access(path, unix.W_OK) == unix.EACCES:
		p.add(f.name, HealthBad, fmt.Sprintf("chmod %o %s", f.open, path), "has mode %04o, which keeps you out", mode)
	case mode&0o022 != 0:
		p.add(f.name, HealthBad, fmt.Sprintf("chmod %o %s", f.open, path), "has mode %04o: others may write to it", mode)
	case machine && mode&^f.open != 0:
		p.add(f.name, HealthWarn, fmt.Sprintf("chmod %o %s", f.open, path), "has mode %04o: others may look into it", mode)
	}
}

// users says how far proposers are kept apart from the operator.
func (p *prober) users() {
	me := os.Geteuid()
	if me == 0 {
		p.add("user", HealthWarn, "make a workspace for a user: sudo sheratan init --operator USER DIR, or name a user for jobs in host.user",
			"the operator is root: jobs run as uid 0, without any capability, where host.user names nobody else")
	}
	var agents []string
	for _, source := range p.sources() {
		var st unix.Stat_t
		path := p.ws.InboxOf(source)
		if err := unix.Lstat(path, &st); err != nil || int(st.Uid) == me {
			continue
		}
		uid := int(st.Uid)
		agents = append(agents, fmt.Sprintf("%s (uid %d)", source, uid))
		if mode := st.Mode & 0o777; mode&0o007 != 0 {
			p.add("agent "+source, HealthBad, "chmod o= "+path, "its inbox has mode %04o: everybody can propose in its name", mode)
		}
		u, err := user.LookupId(strconv.Itoa(uid))
		if err != nil {
			p.add("agent "+source, HealthWarn, "", "its inbox belongs to uid %d, which is no user", uid)
			continue
		}
		groups, err := groupsOf(u)
		if err != nil {
			groups = nil
		}
		for _, dir := range []string{p.ws.Inbox(), p.ws.RepliesDir()} {
			if at, ok := blockedAt(dir, uid, groups); ok {
				p.add("agent "+source, HealthBad, "chmod o+x "+at, "%s cannot pass through %s", u.Username, at)
				break
			}
		}
	}
	if len(agents) == 0 {
		p.add("separation", HealthWarn, "sudo sheratan agent add USER gives an agent a user of its own",
			"whoever proposes as uid %d can also decide: the gates guard against mistakes, not malice", me)
		return
	}
	p.ok("separation", "kept apart from the operator (uid %d): %s", me, strings.Join(agents, ", "))
}

// sources lists the folders of the inbox, a few hundred at most.
func (p *prober) sources() []string {
	list, err := os.ReadDir(p.ws.Inbox())
	if err != nil {
		return nil
	}
	var names []string
	for _, d := range list {
		if d.IsDir() && job.ValidID(d.Name()) && len(names) < 500 {
			names = append(names, d.Name())
		}
	}
	return names
}

// inbox counts what waits, and names what will never be taken.
func (p *prober) inbox() {
	s, err := p.ws.Scan()
	if err != nil {
		p.add("inbox", HealthBad, "mkdir -m 700 "+p.ws.Inbox(), "%v", err)
		return
	}
	defer s.Close()
	const most = 100_000
	waiting, unsettled, odd := 0, 0, 0
	for waiting < most {
		entries, err := s.Next(1000)
		if err != nil {
			break
		}
		for _, e := range entries {
			waiting++
			if e.Problem != "" {
				odd++
			}
			if e.Lines() && !e.Ready() {
				if info, err := os.Lstat(e.Path); err == nil && !settled(info.ModTime(), p.o.Now) {
					unsettled++
				}
			}
		}
	}
	for _, note := range s.Strays() {
		p.add("inbox", HealthWarn, "rename or remove it", "%s", note)
	}
	switch {
	case odd > 0:
		p.add("inbox", HealthWarn, "sheratan gate", "%d waiting, %d of them are no regular files with a proper name and will be blocked", waiting, odd)
	case unsettled > 0:
		p.ok("inbox", "%d waiting, %d of them changed within the last two seconds", waiting, unsettled)
	default:
		p.ok("inbox", "%d waiting", waiting)
	}
}

// claims looks for what a crash left.
func (p *prober) claims() {
	c := p.ws.Claimer(ClaimerOptions{})
	orphans, err := c.Orphans()
	if err != nil {
		p.add("claims", HealthBad, "", "%v", err)
		return
	}
	list, err := os.ReadDir(p.ws.ClaimedDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.add("claims", HealthBad, "", "%v", err)
		return
	}
	for _, d := range list {
		name := strings.TrimSuffix(d.Name(), signatureSuffix)
		if _, ok := parseToken(name); !ok {
			p.add("claims", HealthWarn, "move it away", "%s: is no claim of ours", p.ws.Rel(p.ws.Claimed(EscapeName(d.Name()))))
		}
	}
	if len(orphans) > 0 {
		p.add("claims", HealthWarn, "sheratan gate", "%d files that a command took out of the inbox before it died; the next one finishes them", len(orphans))
		return
	}
	p.ok("claims", "none left behind")
}

// queue looks for files that nobody approved.
func (p *prober) queue() {
	if p.o.Known == nil {
		return
	}
	list, err := os.ReadDir(p.ws.ApprovedDir())
	if err != nil {
		return // folders has said so
	}
	strays := 0
	for _, d := range list {
		id, isJSON := strings.CutSuffix(d.Name(), ".json")
		if strings.HasPrefix(d.Name(), ".") || isJSON && d.Type().IsRegular() && job.ValidID(id) && p.o.Known(id) {
			continue
		}
		if strays++; strays <= maxNotes {
			p.add("queue", HealthWarn, "move it to runtime/inbox/ to propose it, or remove it",
				"%s/%s: no event knows it, and it will never run", p.ws.Rel(p.ws.ApprovedDir()), EscapeName(d.Name()))
		}
	}
	if strays == 0 {
		p.ok("queue", "%d files, all known to the ledger", len(list))
	}
}
