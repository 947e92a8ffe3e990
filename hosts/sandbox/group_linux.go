package sandbox

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// group holds a keeper and the job that it starts in control groups of their own, for what the limits of a process do not
// see: memory that no process has mapped, as that of memory files and sockets, and processes of root. A job with a limit
// of memory has a keeper of its own, so that nothing in the group is of another job. Of processes only those count that there
// are, so that the group of a keeper does for one job after the other.
type group struct {
	memory, pids string // folders; "" is none
	v2           bool
}

// groupPrefix begins the names of our groups. The rest is the process that made them, and a number.
const groupPrefix = "sheratan-"

var groupCount atomic.Int64

// intoGroup puts a keeper where its limits need that. Where there are no groups Probe says which limit does not hold.
func (h *held) intoGroup(level Level, c *Confinement) error {
	l := Limits{Memory: c.Limits.Memory}
	if root := c.User == nil && os.Geteuid() == 0; root && (level != LevelFull || c.Limits.Processes < leastPids || !pidMax()) {
		l.Processes = c.Limits.Processes // those of others the kernel counts for their user
	}
	g, err := newGroup(&l)
	if err == nil && g != nil {
		h.group = g
		err = g.add(h.pid)
	}
	if err == nil || h.group == nil && !Fault(err) {
		return nil
	}
	h.close()
	return trouble("cgroup", err)
}

// newGroup makes the groups that a machine gives us for the limits; nil is for none. The error says why there is none for memory.
func newGroup(l *Limits) (g *group, err error) {
	if l.Memory <= 0 && l.Processes <= 0 {
		return nil, nil
	}
	name := groupPrefix + strconv.Itoa(os.Getpid()) + "-" + strconv.FormatInt(groupCount.Add(1), 10)
	g = new(group)
	if l.Memory > 0 {
		err = g.limitMemory(name, l.Memory)
	}
	if l.Processes > 0 {
		if failed := g.limitProcesses(name, l.Processes+ownTasks); l.Memory <= 0 {
			err = failed
		}
	}
	if err != nil {
		g.remove()
		return nil, err
	}
	return g, nil
}

func (g *group) limitMemory(name string, most int64) error {
	own, v2, err := ownGroup("memory")
	if err != nil {
		return err
	}
	g.v2 = v2
	if v2 {
		if err := share(own, "memory"); err != nil {
			return err
		}
	}
	if g.memory, err = makeGroup(own, name); err != nil {
		return err
	}
	limit, peakless := "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
	if v2 {
		limit, peakless = "memory.max", "memory.swap.max"
	}
	bytes := strconv.FormatInt(most, 10)
	if err := writeGroup(g.memory, limit, bytes); err != nil {
		return err
	}
	// What is swapped out is memory as well. Where swap is not counted there is mostly none.
	if v2 {
		bytes = "0"
	}
	_ = writeGroup(g.memory, peakless, bytes)
	return nil
}

// limitProcesses also counts threads. Of version 2 the group for memory is the one for everything.
func (g *group) limitProcesses(name string, most int64) error {
	own, v2, err := ownGroup("pids")
	if err != nil {
		return err
	}
	dir := &g.pids
	if v2 {
		if err := share(own, "pids"); err != nil {
			return err
		}
		if g.v2 {
			dir = &g.memory
		}
	}
	if *dir == "" {
		if *dir, err = makeGroup(own, name); err != nil {
			return err
		}
	}
	return writeGroup(*dir, "pids.max", strconv.FormatInt(most, 10))
}

// add puts a process into the groups, and with it what it starts from now on.
func (g *group) add(pid int) error {
	for _, dir := range []string{g.memory, g.pids} {
		if dir == "" {
			continue
		}
		if err := writeGroup(dir, "cgroup.procs", strconv.Itoa(pid)); err != nil {
			return err
		}
	}
	return nil
}

// peak is the most memory that was in use at a time, in bytes, with that of files that were read and written; 0 is not known.
func (g *group) peak() int64 {
	if g.memory == "" {
		return 0
	}
	name := "memory.max_usage_in_bytes"
	if g.v2 {
		name = "memory.peak"
	}
	b, err := os.ReadFile(filepath.Join(g.memory, name))
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return n
}

// killed reports whether the kernel ended a process for want of memory in the group.
func (g *group) killed() bool {
	if g.memory == "" {
		return false
	}
	name := "memory.oom_control"
	if g.v2 {
		name = "memory.events"
	}
	b, _ := os.ReadFile(filepath.Join(g.memory, name))
	for line := range bytes.Lines(b) {
		if f := bytes.Fields(line); len(f) == 2 && string(f[0]) == "oom_kill" && string(f[1]) != "0" {
			return true
		}
	}
	return false
}

// remove takes the groups away, which are empty as soon as the kernel is done with the last process in them.
func (g *group) remove() {
	for _, dir := range []string{g.memory, g.pids} {
		if dir == "" {
			continue
		}
		for deadline := time.Now().Add(time.Second); unix.Rmdir(dir) == unix.EBUSY && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
	}
}

func writeGroup(dir, name, text string) error {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// makeGroup makes a group, and takes away those that processes left which were killed.
func makeGroup(own, name string) (string, error) {
	entries, _ := os.ReadDir(own)
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), groupPrefix)
		pid, err := strconv.Atoi(strings.SplitN(rest, "-", 2)[0])
		if ours && err == nil && unix.Kill(pid, 0) == unix.ESRCH {
			unix.Rmdir(filepath.Join(own, e.Name())) // nothing happens where somebody is left in it
		}
	}
	dir := filepath.Join(own, name)
	return dir, os.Mkdir(dir, 0o755)
}

// ownGroup is the folder below which we may make groups with a controller: our own group of version 1, or of version 2.
// There share has to follow.
func ownGroup(controller string) (dir string, v2 bool, err error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "", false, err
	}
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", false, err
	}
	mount := func(kind, option string) string {
		for line := range strings.Lines(string(mounts)) {
			f := strings.Fields(line)
			if len(f) > 3 && f[2] == kind && (option == "" || strings.Contains(","+f[3]+",", ","+option+",")) {
				return f[1]
			}
		}
		return ""
	}
	for line := range strings.Lines(string(groups)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		if at := mount("cgroup", controller); at != "" && strings.Contains(","+f[1]+",", ","+controller+",") {
			return filepath.Join(at, f[2]), false, nil
		}
	}
	for line := range strings.Lines(string(groups)) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		at := mount("cgroup2", "")
		if !ok || at == "" {
			continue
		}
		dir := filepath.Join(at, path)
		if filepath.Base(dir) == groupPrefix+"runner" {
			dir = filepath.Dir(dir)
		}
		return dir, true, nil
	}
	return "", false, errors.New("no cgroup has the controller " + controller)
}

// share gives a controller of a group of version 2 to those below it. A group with processes gives none. So where we have it
// to ourselves, as in a scope that systemd delegated to us, we go into one below it.
func share(dir, controller string) error {
	has := func(name string) bool {
		b, _ := os.ReadFile(filepath.Join(dir, name))
		return strings.Contains(" "+strings.TrimSpace(string(b))+" ", " "+controller+" ")
	}
	if has("cgroup.subtree_control") {
		return nil
	}
	if !has("cgroup.controllers") {
		return errors.New("the cgroup " + dir + " was not given the controller " + controller)
	}
	on := "+" + controller
	if writeGroup(dir, "cgroup.subtree_control", on) == nil {
		return nil
	}
	runner := filepath.Join(dir, groupPrefix+"runner")
	if err := os.Mkdir(runner, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := writeGroup(runner, "cgroup.procs", strconv.Itoa(os.Getpid())); err != nil {
		return err
	}
	_ = writeGroup(dir, "cgroup.subtree_control", "+pids")
	return writeGroup(dir, "cgroup.subtree_control", on)
}

// groupGap says what is lost where there are no groups with a controller.
func groupGap(controller, lost string) (Gap, bool) {
	own, v2, err := ownGroup(controller)
	if err == nil {
		err = unix.Access(own, unix.W_OK)
	}
	if err == nil && v2 {
		var b []byte
		if b, err = os.ReadFile(filepath.Join(own, "cgroup.controllers")); err == nil && !slices.Contains(strings.Fields(string(b)), controller) {
			err = errors.New("the cgroup " + own + " was not given the controller " + controller)
		}
	}
	if err == nil {
		return Gap{}, false
	}
	return Gap{Primitive: "cgroup for " + controller, Lost: lost + " (" + err.Error() + ")", Enable: "systemd-run --user --scope -p Delegate=yes sheratan tick"}, true
}
