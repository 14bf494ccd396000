package vfs

import (
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sort"
	"sync"
	"syscall"
)

// Mem is a file system in memory that tells what was synced from what was not: Crash returns the disk as a power cut
// would leave it. It is made for tests; a byte written costs a few bytes of memory until it is synced.
type Mem struct {
	mu       sync.Mutex
	dirs     map[string]*memDir
	locks    map[string]bool
	capacity int64
	indirect bool // OpenDirect fails
	hook     func(Op) error
	ops      int
}

type memDir struct {
	entries map[string]*inode // as a process sees them
	synced  map[string]*inode // as they are on the disk for certain
	pending []dirOp           // what leads from the one to the other
}

// dirOp puts node under the name to, if that is not empty, and takes it away from the name from.
type dirOp struct {
	from, to string
	node     *inode
}

// NewMem returns an empty file system without a limit. The root directories "/" and "." are there.
func NewMem() *Mem {
	m := &Mem{dirs: map[string]*memDir{}, locks: map[string]bool{}}
	m.dirs["/"], m.dirs["."] = newMemDir(), newMemDir()
	return m
}

func newMemDir() *memDir {
	return &memDir{entries: map[string]*inode{}, synced: map[string]*inode{}}
}

// SetCapacity limits the bytes of all files together; writes past it fail with ENOSPC after what still fits.
// Zero or less takes the limit away.
func (m *Mem) SetCapacity(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = bytes
}

// SetDirect says whether files can be written past the cache, which they can at first.
func (m *Mem) SetDirect(direct bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.indirect = !direct
}

// Create makes an empty file.
func (m *Mem) Create(name string) (File, error) {
	if err := m.op(Op{Kind: OpCreate, Name: name}); err != nil {
		return nil, pathError("create", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	d, base, err := m.split(name)
	if err != nil {
		return nil, pathError("create", name, err)
	}
	node := d.entries[base]
	if node == nil {
		node = &inode{name: name}
		d.entries[base] = node
		d.pending = append(d.pending, dirOp{to: base, node: node})
	} else {
		node.truncate(0)
	}
	return &memFile{fs: m, node: node}, nil
}

// Open opens a file for reading and writing.
func (m *Mem) Open(name string) (File, error) { return m.open(name, false) }

// OpenRead opens a file for reading.
func (m *Mem) OpenRead(name string) (File, error) { return m.open(name, true) }

// OpenDirect opens a file whose every write is synced, and nothing but what it writes. To the hook these are two operations.
func (m *Mem) OpenDirect(name string) (DirectFile, error) {
	f, err := m.open(name, false)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.indirect {
		return nil, pathError("open", name, syscall.EINVAL)
	}
	return memDirect{f}, nil
}

func (m *Mem) open(name string, readOnly bool) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, base, err := m.split(name)
	if err != nil {
		return nil, pathError("open", name, err)
	}
	node := d.entries[base]
	if node == nil {
		return nil, pathError("open", name, fs.ErrNotExist)
	}
	return &memFile{fs: m, node: node, readOnly: readOnly}, nil
}

// Rename renames a file within its directory.
func (m *Mem) Rename(from, to string) error {
	if err := m.op(Op{Kind: OpRename, Name: from, To: to}); err != nil {
		return pathError("rename", from, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	d, base, err := m.split(from)
	if err != nil {
		return pathError("rename", from, err)
	}
	if filepath.Dir(from) != filepath.Dir(to) {
		return pathError("rename", from, fmt.Errorf("%q is in another directory", to))
	}
	node := d.entries[base]
	if node == nil {
		return pathError("rename", from, fs.ErrNotExist)
	}
	target := filepath.Base(to)
	delete(d.entries, base)
	d.entries[target] = node
	node.name = to
	d.pending = append(d.pending, dirOp{from: base, to: target, node: node})
	return nil
}

// Remove removes a file.
func (m *Mem) Remove(name string) error {
	if err := m.op(Op{Kind: OpRemove, Name: name}); err != nil {
		return pathError("remove", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	d, base, err := m.split(name)
	if err != nil {
		return pathError("remove", name, err)
	}
	node := d.entries[base]
	if node == nil {
		return pathError("remove", name, fs.ErrNotExist)
	}
	delete(d.entries, base)
	d.pending = append(d.pending, dirOp{from: base, node: node})
	return nil
}

// List returns the names of a directory's files, sorted. Directories in it are left out.
func (m *Mem) List(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.dirs[filepath.Clean(dir)]
	if d == nil {
		return nil, pathError("list", dir, fs.ErrNotExist)
	}
	return sortedNames(d.entries), nil
}

// MkdirAll makes a directory and its parents; they are on the disk for certain when it returns.
func (m *Mem) MkdirAll(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for d := filepath.Clean(dir); m.dirs[d] == nil; d = filepath.Dir(d) {
		m.dirs[d] = newMemDir()
	}
	return nil
}

// OpenDir opens a directory for syncing.
func (m *Mem) OpenDir(dir string) (Dir, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir = filepath.Clean(dir)
	if m.dirs[dir] == nil {
		return nil, pathError("open", dir, fs.ErrNotExist)
	}
	return memDirHandle{m, dir}, nil
}

// Lock takes a lock, making the file if it isn't there.
func (m *Mem) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = filepath.Clean(name)
	d, base, err := m.split(name)
	if err != nil {
		return nil, pathError("lock", name, err)
	}
	if m.locks[name] {
		return nil, pathError("lock", name, ErrLocked)
	}
	m.locks[name] = true
	if d.entries[base] == nil {
		node := &inode{name: name}
		d.entries[base] = node
		d.pending = append(d.pending, dirOp{to: base, node: node})
	}
	return &memLock{fs: m, name: name}, nil
}

// split returns the directory that name is in, and its last element.
func (m *Mem) split(name string) (*memDir, string, error) {
	d := m.dirs[filepath.Dir(filepath.Clean(name))]
	if d == nil {
		return nil, "", fs.ErrNotExist
	}
	return d, filepath.Base(name), nil
}

// used returns the bytes of all files that have a name.
func (m *Mem) used() int64 {
	var sum int64
	for _, d := range m.dirs {
		for _, node := range d.entries {
			sum += int64(len(node.data))
		}
	}
	return sum
}

type memDirHandle struct {
	fs  *Mem
	dir string
}

func (h memDirHandle) Sync() error {
	if err := h.fs.op(Op{Kind: OpSyncDir, Name: h.dir}); err != nil {
		return pathError("sync", h.dir, err)
	}
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	d := h.fs.dirs[h.dir]
	d.pending = nil
	clear(d.synced)
	for name, node := range d.entries {
		d.synced[name] = node
	}
	return nil
}

func (h memDirHandle) Close() error { return nil }

type memLock struct {
	fs   *Mem
	name string
	once sync.Once
}

func (l *memLock) Close() error {
	l.once.Do(func() {
		l.fs.mu.Lock()
		defer l.fs.mu.Unlock()
		delete(l.fs.locks, l.name)
	})
	return nil
}

func sortedNames(entries map[string]*inode) []string {
	names := make([]string, 0, len(entries))
	for name := range entries {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}
