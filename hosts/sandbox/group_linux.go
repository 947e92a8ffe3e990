package sandbox

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
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
// see: memory that no process has mapped, as that of memory files and sockets, processes of root, and the processor time of
// many processes. A job with a limit of memory has a keeper of its own, so that nothing in the group is of another job. Of
// processes only those count that there are, and of time what came since the job began, so that the group of a keeper does for
// one job after the other.
type group struct {
	name   string   // of its folders
	dirs   []string // all of them; of version 2 one does for everything
	memory string   // the one for memory; "" is none
	v2     bool     // so is that one
	cpu    *os.File // tells the processor time; nil is not counted
}

// groupPrefix begins the names of our groups. The rest is the process that made them, and a number.
const groupPrefix = "sheratan-"

var groupCount atomic.Int64

// intoGroup puts a keeper where its limits need that. Where there are no groups Probe says which limit does not hold.
func (h *held) intoGroup(level Level, c *Confinement) error {
	l := Limits{Memory: c.Limits.Memory, CPU: c.Limits.CPU}
	if root := c.User == nil && os.Geteuid() == 0; root && (level != LevelFull || c.Limits.Processes < leastPids || !pidMax()) {
		l.Processes = c.Limits.Processes // those of others the kernel counts for their user
	}
	g, err := newGroup(&l)
	if g != nil {
		h.group = g
		err = g.add(h.pid)
	}
	if err == nil || g == nil && !Fault(err) {
		return nil
	}
	h.close()
	return trouble("cgroup", err)
}

// newGroup makes the groups that a machine gives us for the limits; nil is for none. The error says why a limit has none.
func newGroup(l *Limits) (*group, error) {
	if l.Memory <= 0 && l.Processes <= 0 && l.CPU <= 0 {
		return nil, nil
	}
	g := &group{name: groupPrefix + strconv.Itoa(os.Getpid()) + "-" + strconv.FormatInt(groupCount.Add(1), 10)}
	var memory, processes, cpu error
	if l.Memory > 0 {
		memory = g.limitMemory(l.Memory)
	}
	if l.Processes > 0 {
		processes = g.limitProcesses(l.Processes + ownTasks)
	}
	if l.CPU > 0 {
		cpu = g.countCPU(cpuGroup())
	}
	err := errors.Join(memory, processes, cpu)
	if len(g.dirs) == 0 || Fault(err) {
		g.remove()
		return nil, err
	}
	return g, err
}

// folder makes the group below own, unless it is there already for another limit.
func (g *group) folder(own string) (string, error) {
	dir := filepath.Join(own, g.name)
	if slices.Contains(g.dirs, dir) {
		return dir, nil
	}
	sweepGroups(own)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	g.dirs = append(g.dirs, dir)
	return dir, nil
}

// controlled makes the group that has a controller.
func (g *group) controlled(controller string) (dir string, v2 bool, err error) {
	own, v2, err := ownGroup(controller)
	if err == nil && v2 {
		err = share(own, controller)
	}
	if err == nil {
		dir, err = g.folder(own)
	}
	return dir, v2, err
}

func (g *group) limitMemory(most int64) (err error) {
	if g.memory, g.v2, err = g.controlled("memory"); err != nil {
		return err
	}
	limit, peakless := "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
	if g.v2 {
		limit, peakless = "memory.max", "memory.swap.max"
	}
	bytes := strconv.FormatInt(most, 10)
	if err := writeGroup(g.memory, limit, bytes); err != nil {
		return err
	}
	// What is swapped out is memory as well. Where swap is not counted there is mostly none.
	if g.v2 {
		bytes = "0"
	}
	_ = writeGroup(g.memory, peakless, bytes)
	return nil
}

// limitProcesses also counts threads.
func (g *group) limitProcesses(most int64) error {
	dir, _, err := g.controlled("pids")
	if err != nil {
		return err
	}
	return writeGroup(dir, "pids.max", strconv.FormatInt(most, 10))
}

// countCPU has a group below own tell the processor time. No group has a limit for that, only for its share of a moment.
func (g *group) countCPU(own string, v2 bool, err error) error {
	if err != nil {
		return err
	}
	dir, err := g.folder(own)
	if err != nil {
		return err
	}
	name := "cpuacct.usage"
	if v2 {
		name = "cpu.stat"
	}
	g.cpu, err = os.Open(filepath.Join(dir, name)) // open, so that reading it takes nothing that could run out
	return err
}

func (g *group) counts() bool { return g != nil && g.cpu != nil }

// cpuTime is the processor time of all that was in the group since it was made, user and system; 0 is not known.
func (g *group) cpuTime() time.Duration {
	if !g.counts() {
		return 0
	}
	var buf [512]byte
	n, _ := g.cpu.ReadAt(buf[:], 0)
	line, _, _ := bytes.Cut(buf[:n], []byte("\n"))
	unit := time.Nanosecond
	if rest, v2 := bytes.CutPrefix(line, []byte("usage_usec ")); v2 {
		line, unit = rest, time.Microsecond
	}
	used, _ := strconv.ParseInt(string(line), 10, 64)
	return time.Duration(used) * unit
}

// add puts a process into the groups, and with it what it starts from now on.
func (g *group) add(pid int) error {
	for _, dir := range g.dirs {
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
	if g.cpu != nil {
		g.cpu.Close()
	}
	for _, dir := range g.dirs {
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

// sweepGroups takes the groups away that processes left which were killed.
func sweepGroups(own string) {
	entries, _ := os.ReadDir(own)
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), groupPrefix)
		pid, err := strconv.Atoi(strings.SplitN(rest, "-", 2)[0])
		if ours && err == nil && unix.Kill(pid, 0) == unix.ESRCH {
			unix.Rmdir(filepath.Join(own, e.Name())) // nothing happens where somebody is left in it
		}
	}
}

// ownGroup is the folder below which we may make groups with a controller: our own group of version 1, or of version 2.
// There share has to follow.
func ownGroup(controller string) (dir string, v2 bool, err error) {
	dir, err = findGroup(controller)
	if dir == "" && err == nil {
		dir, err = findGroup("")
		v2 = true
	}
	if dir == "" && err == nil {
		err = errors.New("no cgroup has the controller " + controller)
	}
	return dir, v2, err
}

// cpuGroup is the folder below which a group tells the processor time. Version 2 needs no controller for that, and so does
// where all controllers are of version 1 as well.
func cpuGroup() (dir string, v2 bool, err error) {
	for _, controller := range []string{"", cpuController} {
		var failed error
		if dir, failed = findGroup(controller); dir != "" {
			failed = mayGroup(dir, controller == "")
		}
		if dir != "" && failed == nil {
			return dir, controller == "", nil
		}
		if err != nil && failed != nil {
			failed = fmt.Errorf("%w, %w", err, failed)
		}
		err = cmp.Or(failed, err)
	}
	if err == nil {
		err = errors.New("no cgroup has the controller " + cpuController + ", and there is none of version 2")
	}
	return "", false, err
}

// cpuController tells the processor time in version 1.
const cpuController = "cpuacct"

// findGroup is the folder of our own group of version 1 with a controller, and without one that of version 2. "" is none.
func findGroup(controller string) (string, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "", err
	}
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	kind := "cgroup"
	if controller == "" {
		kind = "cgroup2"
	}
	at := ""
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) > 3 && f[2] == kind && (controller == "" || strings.Contains(","+f[3]+",", ","+controller+",")) {
			at = f[1]
			break
		}
	}
	for line := range strings.Lines(string(groups)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if at == "" || len(f) != 3 || controller == "" && f[0] != "0" ||
			controller != "" && !strings.Contains(","+f[1]+",", ","+controller+",") {
			continue
		}
		dir := filepath.Join(at, f[2])
		if controller == "" && filepath.Base(dir) == groupPrefix+"runner" {
			dir = filepath.Dir(dir)
		}
		return dir, nil
	}
	return "", nil
}

// mayGroup says why we may not make groups below one, or not move processes into them: in version 2 that takes the right to
// move processes of the group above.
func mayGroup(own string, v2 bool) error {
	paths := []string{own}
	if v2 {
		paths = append(paths, filepath.Join(own, "cgroup.procs"))
	}
	for _, path := range paths {
		if err := unix.Access(path, unix.W_OK); err != nil {
			return &fs.PathError{Op: "write", Path: path, Err: err}
		}
	}
	return nil
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
		err = mayGroup(own, v2)
	}
	if err == nil && v2 {
		var b []byte
		if b, err = os.ReadFile(filepath.Join(own, "cgroup.controllers")); err == nil && !slices.Contains(strings.Fields(string(b)), controller) {
			err = errors.New("the cgroup " + own + " was not given the controller " + controller)
		}
	}
	return noGroup(controller, lost, err)
}

// cpuGap says that the limit of processor time holds for no job as a whole, where that is so.
func cpuGap() (Gap, bool) {
	_, _, err := cpuGroup()
	return noGroup("processor time", "limits of processor time hold for each process alone", err)
}

func noGroup(what, lost string, err error) (Gap, bool) {
	if err == nil {
		return Gap{}, false
	}
	return Gap{Primitive: "cgroup for " + what, Lost: lost + " (" + err.Error() + ")",
		Enable: "systemd-run --user --scope -p Delegate=yes sheratan tick"}, true
}
