package vfstest

import (
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"canvasback/internal/vfs"
)

// Mem is a file system in memory that knows what a crash would leave. File
// contents become durable by File.Sync, names by SyncDir of their directory;
// a rename is one step, durable when either of its directories is synced. It
// has no symbolic links, checks no permissions, and takes paths to be absolute.
// Safe for concurrent use.
type Mem struct {
	mu      sync.Mutex
	root    *node
	pending []*change // of names, in order, not yet durable
	nextIno uint64
	now     func() time.Time
	free    int64
	clones  bool
	kind    vfs.FSKind
}

var _ vfs.FS = (*Mem)(nil)

// A node is a file or, with names not nil, a directory. Both hold what is
// there now and what is durable.
type node struct {
	ino        uint64
	mode       fs.FileMode
	mtime      time.Time
	ctime      time.Time
	names      map[string]*node
	syncNames  map[string]*node
	data       []byte
	syncData   []byte
	unsynced   []write
	locks      map[*memFile]bool // flocks, true for an exclusive one
	ownerPID   int               // of a record lock, see SetLockOwner
	ownerHolds bool
}

// A write is an unsynced change of a file's content: bytes at an offset, or
// with data nil a new size.
type write struct {
	off  int64
	data []byte
}

// A change is an unsynced change of names: at most one name unlinked, at most
// one linked.
type change struct {
	dirs       []*node
	unlinkDir  *node
	unlinkName string
	linkDir    *node
	linkName   string
	target     *node
}

// NewMem returns an empty file system with a directory "/".
func NewMem() *Mem {
	m := &Mem{now: time.Now, free: 1 << 40, kind: vfs.FSKind{Name: "mem"}}
	m.root = m.newNode(fs.ModeDir | 0o755)
	return m
}

// SetNow replaces the clock that stamps files.
func (m *Mem) SetNow(now func() time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = now
}

// SetFree sets what FreeBytes answers. It does not limit writes.
func (m *Mem) SetFree(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free = n
}

// SetClones makes CloneFrom work, which answers vfs.ErrNoClone before.
func (m *Mem) SetClones(can bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clones = can
}

// SetKind sets what Kind answers for every name; a local "mem" before.
func (m *Mem) SetKind(kind vfs.FSKind) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kind = kind
}

// SetLockOwner makes LockOwner of the file answer that pid holds a record lock
// (held true) or that nobody does.
func (m *Mem) SetLockOwner(name string, pid int, held bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find(name)
	if err != nil {
		return pathError("fcntl", name, err)
	}
	n.ownerPID, n.ownerHolds = pid, held
	return nil
}

func (m *Mem) newNode(mode fs.FileMode) *node {
	m.nextIno++
	now := m.now()
	n := &node{ino: m.nextIno, mode: mode, mtime: now, ctime: now}
	if mode.IsDir() {
		n.names, n.syncNames = map[string]*node{}, map[string]*node{}
	}
	return n
}

func split(name string) []string {
	return strings.FieldsFunc(filepath.Clean("/"+name), func(r rune) bool { return r == '/' })
}

// find returns the node at name, with ENOENT or ENOTDIR.
func (m *Mem) find(name string) (*node, error) {
	n := m.root
	for _, part := range split(name) {
		if n.names == nil {
			return nil, syscall.ENOTDIR
		}
		next, ok := n.names[part]
		if !ok {
			return nil, syscall.ENOENT
		}
		n = next
	}
	return n, nil
}

// findParent returns the directory of name and its last element.
func (m *Mem) findParent(name string) (*node, string, error) {
	parts := split(name)
	if len(parts) == 0 {
		return nil, "", syscall.EBUSY // the root
	}
	dir, err := m.find("/" + strings.Join(parts[:len(parts)-1], "/"))
	if err != nil {
		return nil, "", err
	}
	if dir.names == nil {
		return nil, "", syscall.ENOTDIR
	}
	return dir, parts[len(parts)-1], nil
}

// apply makes a change of names now and remembers that it is not durable.
func (m *Mem) apply(c *change) {
	now := m.now()
	c.replay(func(n *node) map[string]*node { return n.names })
	for _, d := range []*node{c.unlinkDir, c.linkDir} {
		if d != nil {
			d.mtime, d.ctime = now, now
			c.dirs = append(c.dirs, d)
		}
	}
	m.pending = append(m.pending, c)
}

func (c *change) replay(names func(*node) map[string]*node) {
	if c.unlinkDir != nil {
		delete(names(c.unlinkDir), c.unlinkName)
	}
	if c.linkDir != nil {
		names(c.linkDir)[c.linkName] = c.target
	}
}

// syncDir makes the changes that involve dir durable, in their order.
func (m *Mem) syncDir(dir *node) {
	m.pending = slices.DeleteFunc(m.pending, func(c *change) bool {
		if !slices.Contains(c.dirs, dir) {
			return false
		}
		c.replay(func(n *node) map[string]*node { return n.syncNames })
		return true
	})
}

// CrashClone returns the file system as the next boot finds it if the machine
// stops now: everything synced is there, and of the rest each write and each
// change of a name is kept or lost, a write possibly torn, decided by the
// seed. Seed 0 loses all of it and seed 1 keeps all of it. Locks are free, and
// everything in the clone is durable. The original goes on unharmed.
func (m *Mem) CrashClone(seed int64) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	rng := rand.New(rand.NewPCG(uint64(seed), 0))
	keep := func() bool {
		switch seed {
		case 0:
			return false
		case 1:
			return true
		}
		return rng.IntN(2) == 0
	}
	// The names after the crash, by node.
	after := map[*node]map[string]*node{}
	names := func(n *node) map[string]*node {
		if after[n] == nil {
			after[n] = make(map[string]*node, len(n.syncNames))
			for name, child := range n.syncNames {
				after[n][name] = child
			}
		}
		return after[n]
	}
	for _, c := range m.pending {
		if keep() {
			c.replay(names)
		}
	}
	clone := &Mem{now: m.now, free: m.free, nextIno: m.nextIno, clones: m.clones, kind: m.kind}
	clone.root = m.crashNode(m.root, names, keep, rng, seed > 1, map[*node]*node{})
	return clone
}

func (m *Mem) crashNode(n *node, names func(*node) map[string]*node, keep func() bool, rng *rand.Rand, tear bool, seen map[*node]*node) *node {
	if c, ok := seen[n]; ok {
		return c
	}
	c := &node{ino: n.ino, mode: n.mode, mtime: n.mtime, ctime: n.ctime}
	seen[n] = c
	if n.names == nil {
		c.syncData = n.crashData(keep, rng, tear)
		c.data = slices.Clone(c.syncData)
		return c
	}
	c.names, c.syncNames = map[string]*node{}, map[string]*node{}
	children := names(n)
	sorted := make([]string, 0, len(children))
	for name := range children {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted) // the seed decides, not the map's order
	for _, name := range sorted {
		child := m.crashNode(children[name], names, keep, rng, tear, seen)
		c.names[name], c.syncNames[name] = child, child
	}
	return c
}

func (n *node) crashData(keep func() bool, rng *rand.Rand, tear bool) []byte {
	data := slices.Clone(n.syncData)
	for _, w := range n.unsynced {
		if !keep() {
			continue
		}
		if tear && len(w.data) > 1 && rng.IntN(4) == 0 {
			w.data = w.data[:1+rng.IntN(len(w.data)-1)]
		}
		data = w.apply(data)
	}
	return data
}

func (w write) apply(data []byte) []byte {
	if w.data == nil {
		return resize(data, w.off)
	}
	if end := w.off + int64(len(w.data)); end > int64(len(data)) {
		data = resize(data, end)
	}
	copy(data[w.off:], w.data)
	return data
}

func resize(data []byte, size int64) []byte {
	if size <= int64(len(data)) {
		return data[:size:size]
	}
	return append(data, make([]byte, size-int64(len(data)))...)
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}
