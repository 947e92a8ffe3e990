package stress_test

import (
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// disk is a file system in memory, mounted through FUSE, that a test can take the power from: what was not synced is lost then.
// A file has its content only as far as fsync was called on it, and a name is there only after fsync of its folder. That is all
// that POSIX promises, and less than most file systems keep. Two things are as on every file system with a journal: a folder
// that is synced has all its names or none of the later changes, and a file that is moved from one folder to another is in one
// of them. syncfs(2) is not told to a FUSE server, so nothing here may depend on it.
type disk struct {
	fuse.RawFileSystem // says ENOSYS to the rest
	t                  *testing.T
	dir                string
	server             *fuse.Server

	mu    sync.Mutex
	nodes map[uint64]*node
	lists map[uint64][]fuse.DirEntry // of open folders
	last  uint64                     // number of a node or list
	moves []move                     // between folders, not kept yet
	off   bool                       // the power is gone
	rule  func(op, path string) verdict
}

// node is a file, folder or symbolic link.
type node struct {
	number    uint64
	parent    *node
	name      string
	mode      uint32
	uid, gid  uint32
	links     uint32
	changed   time.Time
	data      []byte
	names     map[string]*node // of a folder
	target    string           // of a symbolic link
	keptData  []byte
	keptNames map[string]*node
}

// move is one from folder to folder that is not on the disk.
type move struct {
	what     *node
	from, to *node
	old, new string
}

// verdict is what becomes of a call.
type verdict int

const (
	pass verdict = iota
	lose         // a sync says that it is done, and was not
	fail         // a sync fails, and what it was to bring to the disk is there all the same
	cut          // the power goes off just before
)

// The calls for which a rule is asked, with the path below the mount.
const (
	syncFile  = "sync"
	syncNames = "sync names"
)

// newDisk mounts an empty disk, or skips the test where that is not possible.
func newDisk(t *testing.T) *disk {
	t.Helper()
	d := &disk{RawFileSystem: fuse.NewDefaultRawFileSystem(), t: t, dir: t.TempDir(), nodes: map[uint64]*node{}, lists: map[uint64][]fuse.DirEntry{}}
	root := d.newNode(syscall.S_IFDIR|0o755, uint32(os.Getuid()), uint32(os.Getgid()))
	root.links = 2
	d.mount()
	t.Cleanup(func() {
		if d.server != nil {
			d.unmount()
		}
	})
	return d
}

func (d *disk) mount() {
	d.t.Helper()
	// Direct is without fusermount, for root. AllowOther is for jobs, which have a user namespace of their own.
	o := &fuse.MountOptions{Name: "disk", FsName: "disk", AllowOther: os.Getuid() == 0, DirectMount: true, DisableXAttrs: true,
		DisableReadDirPlus: true, MaxWrite: 1 << 20, Options: []string{"default_permissions"}, DirectMountFlags: syscall.MS_NODEV}
	server, err := fuse.NewServer(d, d.dir, o)
	if err == nil {
		go server.Serve()
		err = server.WaitMount()
	}
	if err != nil {
		d.t.Skipf("no file system can be mounted through FUSE here: %v", err)
	}
	d.server = server
}

func (d *disk) unmount() {
	d.t.Helper()
	var err error
	for range 200 { // those who were killed may not have let go of their files yet
		if err = d.server.Unmount(); err == nil {
			d.server = nil
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	syscall.Unmount(d.dir, syscall.MNT_DETACH)
	d.t.Errorf("unmount %s: %v", d.dir, err)
}

// settle brings everything to the disk.
func (d *disk) settle() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.nodes {
		n.keep()
	}
	d.moves = nil
}

// settlePath brings one file or folder to the disk.
func (d *disk) settlePath(where string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.nodes {
		if n.path() == where {
			n.keep()
		}
	}
}

// obey sets the rule that is asked before each sync.
func (d *disk) obey(rule func(op, path string) verdict) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rule = rule
}

// powerOff has every call fail from now on.
func (d *disk) powerOff() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = true
}

// powerOn mounts what is left after powerOff. Processes that use the disk have been killed. luck is nil where nothing that was
// not synced is left; otherwise it decides about each file and name by itself. spared are files that are left as they were.
func (d *disk) powerOn(luck *rand.Rand, spared func(path string) bool) {
	d.t.Helper()
	d.powerOff()
	d.unmount()
	d.mu.Lock()
	root := d.nodes[1]
	d.survive(root, luck, spared)
	d.nodes, d.moves, d.rule, d.off = map[uint64]*node{}, nil, nil, false
	d.collect(root, map[*node]bool{})
	d.mu.Unlock()
	d.mount()
}

// survive makes what is kept of n, and of what it names, its state.
func (d *disk) survive(n *node, luck *rand.Rand, spared func(string) bool) {
	if !n.folder() {
		switch {
		case spared != nil && spared(n.path()):
		case luck == nil:
			n.data = n.keptData
		default:
			n.data = n.lucky(luck)
		}
		n.keep()
		return
	}
	names := maps.Clone(n.keptNames)
	for _, name := range slices.Sorted(maps.Keys(n.names)) {
		child := n.names[name]
		moved := slices.ContainsFunc(d.moves, func(m move) bool { return m.what == child })
		if spared != nil && spared(path.Join(n.path(), name)) || luck != nil && !moved && luck.IntN(2) == 0 {
			names[name] = child
		}
	}
	if luck != nil {
		for _, name := range slices.Sorted(maps.Keys(names)) {
			moved := slices.ContainsFunc(d.moves, func(m move) bool { return m.what == names[name] })
			if _, still := n.names[name]; !still && !moved && luck.IntN(2) == 0 {
				delete(names, name)
			}
		}
	}
	for name, child := range names {
		child.parent, child.name = n, name
		d.survive(child, luck, spared)
	}
	n.names = names
	n.keep()
}

// lucky is a content that a file may have after a power loss in which some of what was written reached the disk.
func (n *node) lucky(luck *rand.Rand) []byte {
	switch luck.IntN(4) {
	case 0:
		return n.data
	case 1:
		if len(n.data) > len(n.keptData) { // the length, and not the blocks
			return append(slices.Clone(n.keptData), make([]byte, len(n.data)-len(n.keptData))...)
		}
	case 2:
		if more := len(n.data) - len(n.keptData); more > 0 {
			return slices.Clone(n.data[:len(n.keptData)+luck.IntN(more)])
		}
	}
	return n.keptData
}

// collect numbers what is reachable.
func (d *disk) collect(n *node, seen map[*node]bool) {
	n.links++
	if seen[n] {
		return
	}
	seen[n] = true
	n.links = 1
	if n.folder() {
		n.links = 2
	}
	d.nodes[n.number] = n
	for _, child := range n.names {
		d.collect(child, seen)
	}
}

func (n *node) folder() bool { return n.mode&syscall.S_IFMT == syscall.S_IFDIR }

// path is where a node lies below the mount, or lay last.
func (n *node) path() string {
	if n.parent == nil {
		return ""
	}
	return path.Join(n.parent.path(), n.name)
}

func (n *node) keep() { n.keptData, n.keptNames = slices.Clone(n.data), maps.Clone(n.names) }

func (d *disk) newNode(mode, uid, gid uint32) *node {
	d.last++
	n := &node{number: d.last, mode: mode, uid: uid, gid: gid, links: 1, changed: time.Now()}
	if n.folder() {
		n.names, n.keptNames, n.links = map[string]*node{}, map[string]*node{}, 2
	}
	d.nodes[n.number] = n
	return n
}

// enter locks the disk and finds a node. The caller unlocks.
func (d *disk) enter(number uint64) (*node, fuse.Status) {
	d.mu.Lock()
	n := d.nodes[number]
	switch {
	case d.off:
		return nil, fuse.EIO
	case n == nil:
		return nil, fuse.Status(syscall.ESTALE)
	}
	return n, fuse.OK
}

const always = 1 << 20 // seconds; the kernel knows of every change

func (n *node) attr(a *fuse.Attr) {
	*a = fuse.Attr{Ino: n.number, Size: uint64(len(n.data)), Blocks: uint64(len(n.data)+511) / 512, Mode: n.mode, Nlink: n.links,
		Owner: fuse.Owner{Uid: n.uid, Gid: n.gid}, Blksize: 4096}
	if n.target != "" {
		a.Size = uint64(len(n.target))
	}
	a.SetTimes(&n.changed, &n.changed, &n.changed)
}

func (n *node) entry(out *fuse.EntryOut) {
	out.NodeId, out.Generation, out.EntryValid, out.AttrValid = n.number, 1, always, always
	n.attr(&out.Attr)
}

func (d *disk) Lookup(_ <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	n, status := d.enter(h.NodeId)
	defer d.mu.Unlock()
	if status != fuse.OK {
		return status
	}
	child, ok := n.names[name]
	if !ok {
		return fuse.ENOENT
	}
	child.entry(out)
	return fuse.OK
}

func (d *disk) Forget(uint64, uint64) {}

func (d *disk) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	n, status := d.enter(in.NodeId)
	defer d.mu.Unlock()
	if status == fuse.OK {
		out.AttrValid = always
		n.attr(&out.Attr)
	}
	return status
}

func (d *disk) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	n, status := d.enter(in.NodeId)
	defer d.mu.Unlock()
	if status != fuse.OK {
		return status
	}
	if mode, ok := in.GetMode(); ok {
		n.mode = n.mode&syscall.S_IFMT | mode&0o7777
	}
	if uid, ok := in.GetUID(); ok {
		n.uid = uid
	}
	if gid, ok := in.GetGID(); ok {
		n.gid = gid
	}
	n.changed = time.Now()
	if at, ok := in.GetMTime(); ok {
		n.changed = at
	}
	if size, ok := in.GetSize(); ok {
		n.resize(int(size))
	}
	out.AttrValid = always
	n.attr(&out.Attr)
	return fuse.OK
}

// resize cuts or fills up. What is kept is a copy, so that the slice may be written in place.
func (n *node) resize(size int) {
	if size > len(n.data) {
		n.data = append(n.data, make([]byte, size-len(n.data))...)
	}
	clear(n.data[size:])
	n.data = n.data[:size]
}

// add makes a node under a name that is free.
func (d *disk) add(h *fuse.InHeader, name string, mode uint32, out *fuse.EntryOut) (*node, fuse.Status) {
	n, status := d.enter(h.NodeId)
	if status != fuse.OK {
		return nil, status
	}
	if _, ok := n.names[name]; ok {
		return nil, fuse.Status(syscall.EEXIST)
	}
	child := d.newNode(mode, h.Uid, h.Gid)
	child.parent, child.name = n, name
	n.names[name], n.changed = child, time.Now()
	child.entry(out)
	return child, fuse.OK
}

func (d *disk) Mknod(_ <-chan struct{}, in *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	defer d.mu.Unlock()
	_, status := d.add(&in.InHeader, name, in.Mode, out)
	return status
}

func (d *disk) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	defer d.mu.Unlock()
	_, status := d.add(&in.InHeader, name, in.Mode&0o7777|syscall.S_IFDIR, out)
	return status
}

func (d *disk) Symlink(_ <-chan struct{}, h *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	defer d.mu.Unlock()
	n, status := d.add(h, name, syscall.S_IFLNK|0o777, out)
	if status == fuse.OK {
		n.target = target
		n.entry(out)
	}
	return status
}

func (d *disk) Readlink(_ <-chan struct{}, h *fuse.InHeader) ([]byte, fuse.Status) {
	n, status := d.enter(h.NodeId)
	defer d.mu.Unlock()
	if status != fuse.OK {
		return nil, status
	}
	return []byte(n.target), fuse.OK
}

func (d *disk) Create(_ <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	defer d.mu.Unlock()
	_, status := d.add(&in.InHeader, name, in.Mode&0o7777|syscall.S_IFREG, &out.EntryOut)
	return status
}

func (d *disk) Link(_ <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	n, status := d.enter(in.NodeId)
	defer d.mu.Unlock()
	if status != fuse.OK {
		return status
	}
	what := d.nodes[in.Oldnodeid]
	if what == nil {
		return fuse.ENOENT
	}
	if _, ok := n.names[name]; ok {
		return fuse.Status(syscall.EEXIST)
	}
	n.names[name] = what
	what.links++
	what.entry(out)
	return fuse.OK
}

func (d *disk) Unlink(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return d.drop(h, name)
}

func (d *disk) Rmdir(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return d.drop(h, name)
}

func (d *disk) drop(h *fuse.InHeader, name string) fuse.Status {
	n, status := d.enter(h.NodeId)
	defer d.mu.Unlock()
	if status != fuse.OK {
		return status
	}
	child, ok := n.names[name]
	switch {
	case !ok:
		return fuse.ENOENT
	case len(child.names) > 0:
		return fuse.Status(syscall.ENOTEMPTY)
	}
	delete(n.names, name)
	child.links--
	n.changed = time.Now()
	return fuse.OK
}

func (d *disk) Rename(_ <-chan struct{}, in *fuse.RenameIn, old, name string) fuse.Status {
	from, status := d.enter(in.NodeId)
	defer d.mu.Unlock()
	if status != fuse.OK {
		return status
	}
	to := d.nodes[in.Newdir]
	what, ok := from.names[old]
	if to == nil || !ok {
		return fuse.ENOENT
	}
	const noReplace, exchange = 1, 2
	there, taken := to.names[name]
	switch {
	case in.Flags&exchange != 0:
		return fuse.EINVAL
	case taken && in.Flags&noReplace != 0:
		return fuse.Status(syscall.EEXIST)
	case taken && len(there.names) > 0:
		return fuse.Status(syscall.ENOTEMPTY)
	case taken && there != what:
		there.links--
	}
	delete(from.names, old)
	to.names[name] = what
	what.parent, what.name = to, name
	if from != to {
		d.moves = append(d.moves, move{what, from, to, old, name})
	}
	return fuse.OK
}

func (d *disk) Open(_ <-chan struct{}, in *fuse.OpenIn, _ *fuse.OpenOut) fuse.Status {
	n, status := d.enter(in.NodeId)
	defer d.mu.Unlock()
	if status == fuse.OK && in.Flags&syscall.O_TRUNC != 0 {
		n.resize(0)
	}
	return status
}

func (d *disk) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	n, status := d.enter(in.NodeId)
	defer d.mu.Unlock()
	if status != fuse.OK {
		return nil, status
	}
	size := 0
	if in.Offset < uint64(len(n.data)) {
		size = copy(buf[:min(len(buf), int(in.Size))], n.data[in.Offset:])
	}
	return fuse.ReadResultData(buf[:size]), fuse.OK
}

func (d *disk) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	n, status := d.enter(in.NodeId)
	defer d.mu.Unlock()
	if status != fuse.OK {
		return 0, status
	}
	if end := int(in.Offset) + len(data); end > len(n.data) {
		n.resize(end)
	}
	copy(n.data[in.Offset:], data)
	n.changed = time.Now()
	return uint32(len(data)), fuse.OK
}

func (d *disk) Writev(<-chan struct{}, *fuse.WriteIn, [][]byte) (uint32, fuse.Status) {
	return 0, fuse.ENOSYS
}

func (d *disk) Release(<-chan struct{}, *fuse.ReleaseIn)         {}
func (d *disk) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.OK }

// judge asks the rule about a sync.
func (d *disk) judge(op string, n *node) verdict {
	where := n.path()
	if d.rule == nil {
		return pass
	}
	return d.rule(op, where)
}

func (d *disk) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	n, status := d.enter(in.NodeId)
	defer d.mu.Unlock()
	if status != fuse.OK {
		return status
	}
	switch d.judge(syncFile, n) {
	case lose:
		return fuse.OK
	case fail:
		n.keptData = slices.Clone(n.data)
		return fuse.EIO
	case cut:
		d.off = true
		return fuse.EIO
	}
	n.keptData = slices.Clone(n.data)
	return fuse.OK
}

func (d *disk) FsyncDir(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	n, status := d.enter(in.NodeId)
	defer d.mu.Unlock()
	if status != fuse.OK {
		return status
	}
	switch d.judge(syncNames, n) {
	case lose:
		return fuse.OK
	case fail:
		d.keepNames(n)
		return fuse.EIO
	case cut:
		d.off = true
		return fuse.EIO
	}
	d.keepNames(n)
	return fuse.OK
}

// keepNames brings the names in a folder to the disk, and the other end of what was moved into it or out of it.
func (d *disk) keepNames(n *node) {
	n.keptNames = maps.Clone(n.names)
	d.moves = slices.DeleteFunc(d.moves, func(m move) bool {
		if m.from != n && m.to != n {
			return false
		}
		if m.from.keptNames[m.old] == m.what {
			delete(m.from.keptNames, m.old)
		}
		if m.to != n {
			m.to.keptNames[m.new] = m.what
		}
		return true
	})
}

func (d *disk) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	n, status := d.enter(in.NodeId)
	defer d.mu.Unlock()
	if status != fuse.OK {
		return status
	}
	list := []fuse.DirEntry{{Name: ".", Mode: syscall.S_IFDIR, Ino: n.number}, {Name: "..", Mode: syscall.S_IFDIR, Ino: 1}}
	for _, name := range slices.Sorted(maps.Keys(n.names)) {
		list = append(list, fuse.DirEntry{Name: name, Mode: n.names[name].mode, Ino: n.names[name].number})
	}
	d.last++
	out.Fh = d.last
	d.lists[out.Fh] = list
	return fuse.OK
}

func (d *disk) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := d.lists[in.Fh]
	for i := int(in.Offset); i < len(list); i++ {
		list[i].Off = uint64(i + 1)
		if !out.AddDirEntry(list[i]) {
			break
		}
	}
	return fuse.OK
}

func (d *disk) ReleaseDir(in *fuse.ReleaseIn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.lists, in.Fh)
}

func (d *disk) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	*out = fuse.StatfsOut{Blocks: 1 << 24, Bfree: 1 << 23, Bavail: 1 << 23, Files: 1 << 20, Ffree: 1 << 19, Bsize: 4096, Frsize: 4096, NameLen: 255}
	return fuse.OK
}
