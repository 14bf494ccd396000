package vfs

import (
	"errors"
	"io"
	"io/fs"
	"syscall"
)

// inode is the content of a file, whatever its name.
type inode struct {
	name    string      // its latest, for errors and hooks
	data    []byte      // as a process sees it
	synced  []byte      // as it is on the disk for certain
	pending []fileWrite // what leads from the one to the other
}

// fileWrite is a write, or a truncation to offset if data is nil.
type fileWrite struct {
	offset int64
	data   []byte
}

func (n *inode) write(p []byte, offset int64) {
	if end := offset + int64(len(p)); end > int64(len(n.data)) {
		n.data = append(n.data, make([]byte, end-int64(len(n.data)))...)
	}
	copy(n.data[offset:], p)
	n.pending = append(n.pending, fileWrite{offset, append([]byte{}, p...)})
}

func (n *inode) truncate(size int64) {
	n.data = resize(n.data, size)
	n.pending = append(n.pending, fileWrite{offset: size})
}

func (n *inode) sync() {
	n.synced = resize(n.synced, int64(len(n.data)))
	for _, w := range n.pending {
		if w.data == nil {
			// What was cut off and written anew is among the later writes; what was cut off and is zero now is not.
			copy(n.synced[min(w.offset, int64(len(n.synced))):], n.data[min(w.offset, int64(len(n.data))):])
			continue
		}
		end := min(w.offset+int64(len(w.data)), int64(len(n.data)))
		if w.offset < end {
			copy(n.synced[w.offset:end], n.data[w.offset:end])
		}
	}
	n.pending = nil
}

// syncOnly makes safe what is between from and to. What was written elsewhere is not, unless the size is to change.
func (n *inode) syncOnly(from, to int64) {
	var rest []fileWrite
	for _, w := range n.pending {
		end := w.offset + int64(len(w.data))
		switch {
		case w.data == nil:
			n.sync()
			return
		case end <= from || w.offset >= to:
			rest = append(rest, w)
			continue
		}
		if w.offset < from {
			rest = append(rest, fileWrite{w.offset, w.data[:from-w.offset]})
		}
		if end > to {
			rest = append(rest, fileWrite{to, w.data[to-w.offset:]})
		}
	}
	n.pending = rest
	n.synced = resize(n.synced, max(to, int64(len(n.synced))))
	copy(n.synced[from:to], n.data[from:to])
}

// failSync does what hosts do: every other sector is on the disk, and what isn't is taken for written from now on, so
// that no later sync brings it there. Processes go on seeing it.
func (n *inode) failSync(parity int) {
	for _, w := range n.pending {
		w.eachSector(func(sector int64) {
			if (sector+int64(parity))%2 != 0 {
				return
			}
			from := max(w.offset, sector*sectorBytes)
			to := min(w.offset+int64(len(w.data)), (sector+1)*sectorBytes, int64(len(n.data)))
			if from >= to {
				return
			}
			if to > int64(len(n.synced)) {
				n.synced = resize(n.synced, to)
			}
			copy(n.synced[from:to], n.data[from:to])
		})
	}
	n.pending = nil
}

// resize cuts b or appends zeros to it.
func resize(b []byte, size int64) []byte {
	if size <= int64(len(b)) {
		return b[:size:size]
	}
	return append(b, make([]byte, size-int64(len(b)))...)
}

type memFile struct {
	fs       *Mem
	node     *inode
	readOnly bool
	closed   bool
}

func (f *memFile) ReadAt(p []byte, offset int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return 0, pathError("read", f.node.name, fs.ErrClosed)
	}
	if offset < 0 {
		return 0, pathError("read", f.node.name, fs.ErrInvalid)
	}
	if offset >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[offset:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(p []byte, offset int64) (int, error) {
	hookErr := f.fs.op(Op{Kind: OpWrite, Name: f.name(), Offset: offset, Bytes: len(p)})
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.usable(); err != nil {
		return 0, pathError("write", f.node.name, err)
	}
	if offset < 0 {
		return 0, pathError("write", f.node.name, fs.ErrInvalid)
	}
	n, err := len(p), hookErr
	if err != nil {
		n = 0
		if short, ok := errors.AsType[*ShortWrite](err); ok {
			n = min(max(short.Bytes, 0), len(p))
		}
	}
	if grow := offset + int64(n) - int64(len(f.node.data)); f.fs.capacity > 0 && grow > 0 {
		if over := f.fs.used() + grow - f.fs.capacity; over > 0 {
			n, err = max(0, n-int(over)), syscall.ENOSPC
		}
	}
	if n > 0 {
		f.node.write(p[:n], offset)
	}
	if err != nil {
		return n, pathError("write", f.node.name, err)
	}
	return n, nil
}

func (f *memFile) Sync() error { return f.syncBy((*inode).sync) }

// syncOnly syncs what is between from and to.
func (f *memFile) syncOnly(from, to int64) error {
	return f.syncBy(func(n *inode) { n.syncOnly(from, to) })
}

func (f *memFile) syncBy(sync func(*inode)) error {
	err := f.fs.op(Op{Kind: OpSync, Name: f.name()})
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err != nil {
		f.node.failSync(f.fs.ops)
		return pathError("sync", f.node.name, err)
	}
	if err := f.usable(); err != nil {
		return pathError("sync", f.node.name, err)
	}
	sync(f.node)
	return nil
}

func (f *memFile) Truncate(size int64) error {
	if err := f.fs.op(Op{Kind: OpTruncate, Name: f.name(), Offset: size}); err != nil {
		return pathError("truncate", f.name(), err)
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.usable(); err != nil {
		return pathError("truncate", f.node.name, err)
	}
	if size < 0 {
		return pathError("truncate", f.node.name, fs.ErrInvalid)
	}
	f.node.truncate(size)
	return nil
}

func (f *memFile) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return int64(len(f.node.data)), nil
}

func (f *memFile) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return pathError("close", f.node.name, fs.ErrClosed)
	}
	f.closed = true
	return nil
}

func (f *memFile) usable() error {
	if f.closed {
		return fs.ErrClosed
	}
	if f.readOnly {
		return fs.ErrPermission
	}
	return nil
}

func (f *memFile) name() string {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return f.node.name
}

type memDirect struct{ File }

func (f memDirect) WriteAt(p []byte, offset int64) (int, error) {
	if !aligned(p, offset) {
		return 0, pathError("write", f.File.(*memFile).name(), syscall.EINVAL)
	}
	n, err := f.File.WriteAt(p, offset)
	if err != nil {
		return n, err
	}
	return n, f.File.(*memFile).syncOnly(offset, offset+int64(n))
}

func (memDirect) WillRead(int64, int64) {}
