package seglog

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/bachata-go/bachata/internal/vfs"
)

// readStore returns the header of the store in dir; an error that wraps fs.ErrNotExist says that there is none.
func readStore(fsys vfs.FS, dir string) (storeHeader, error) {
	name := filepath.Join(dir, storeName)
	b, err := readHead(fsys, name, storeHeaderBytes+1)
	if err != nil {
		return storeHeader{}, err
	}
	h, bad := decodeStoreHeader(b)
	if bad != "" {
		return h, &DamageError{File: name, Reason: bad}
	}
	if h.version != formatVersion {
		return h, fmt.Errorf("%s: %w %d, this program knows %d", name, ErrVersion, h.version, formatVersion)
	}
	return h, nil
}

// createStore makes the header of a new store. It appears whole or not at all.
func createStore(fsys vfs.FS, dirname string, dir vfs.Dir) (storeHeader, error) {
	h := storeHeader{version: formatVersion}
	if _, err := rand.Read(h.id[:]); err != nil {
		return h, err
	}
	temp := filepath.Join(dirname, storeTempName)
	f, err := fsys.Create(temp)
	if err != nil {
		return h, err
	}
	_, err = f.WriteAt(h.encode(), 0)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return h, err
	}
	if err := fsys.Rename(temp, filepath.Join(dirname, storeName)); err != nil {
		return h, err
	}
	return h, dir.Sync()
}

// readHead returns the first n bytes of a file, fewer if it is shorter.
func readHead(fsys vfs.FS, name string, n int) ([]byte, error) {
	f, err := fsys.OpenRead(name)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	r := reader{name: name, file: f, size: size}
	b, err := r.at(0, int64(n))
	return b, errors.Join(err, f.Close())
}

// listing is what a store's directory holds.
type listing struct {
	store    bool
	segments []uint32 // ascending
	leftover []string // what was being made when the process or the host stopped
	lock     bool
}

func list(fsys vfs.FS, dir string) (listing, error) {
	names, err := fsys.List(dir)
	if err != nil {
		return listing{}, err
	}
	var l listing
	for _, name := range names {
		switch name {
		case storeName:
			l.store = true
		case lockName:
			l.lock = true
		case storeTempName, prepareName:
			l.leftover = append(l.leftover, name)
		default:
			if id, ok := parseSegmentName(name); ok {
				l.segments = append(l.segments, id)
			}
		}
	}
	return l, nil
}

// gap returns the first segment that is missing among those that are there, if any: each is made, and its name safe,
// before the next, and they are removed in the same order.
func (l listing) gap(dir string) *DamageError {
	for i, id := range l.segments {
		if i > 0 && l.segments[i-1]+1 != id {
			return &DamageError{
				File:   filepath.Join(dir, segmentName(l.segments[i-1]+1)),
				Reason: fmt.Sprintf("it is missing, and segment %d is there", id),
			}
		}
	}
	return nil
}

// lockStore keeps every other process out.
func lockStore(fsys vfs.FS, dir string) (lock interface{ Close() error }, err error) {
	lock, err = fsys.Lock(filepath.Join(dir, lockName))
	if errors.Is(err, vfs.ErrLocked) {
		return nil, ErrLocked
	}
	return lock, err
}

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
