package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/bachata-go/bachata/internal/inbox"
	"github.com/bachata-go/bachata/internal/seglog"
	"github.com/bachata-go/bachata/internal/vfs"
)

// ErrNotEmpty is returned by Salvage if there is something in the folder that it is to make.
var ErrNotEmpty = errors.New("disk: folder is not empty")

// Salvage copies what is good of the queue in dir into a new one in the folder to, which must not be there or be empty, and
// does not change dir. It returns what it found in dir, and what the new queue holds. Open takes the new one then.
//
// What stood in the places that are damaged is not known. Messages are missing of which that was the only trace, and so are their
// receipts. What was confirmed there waits again, and is delivered once more under its id. An id that was accepted
// there is taken for a new one when it is sent again; if the file "queue" is damaged or missing, so may be any id whose message
// does not wait any more.
//
// The queue in dir may not be open: ErrLocked. Other errors: there is no queue in dir (fs.ErrNotExist), or none that this version
// knows (ErrVersion); ErrNotEmpty; those of the file system. What it has made by then is not to be used: remove
// it, and begin anew.
func Salvage(dir, to string) (found, kept Report, err error) { return salvage(vfs.OS{}, dir, to) }

func salvage(fsys vfs.FS, dir, to string) (found, kept Report, err error) {
	if rel, err := filepath.Rel(dir, to); err == nil && filepath.IsLocal(rel) && rel != "." {
		return found, kept, fmt.Errorf("make queue %q: it would be in %q, which is not to be changed", to, dir)
	}
	switch names, err := fsys.List(to); {
	case err == nil && len(names) > 0:
		return found, kept, fmt.Errorf("%w: %q", ErrNotEmpty, to)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return found, kept, ofTarget(to, err)
	}
	var unreadable []Damage
	salt, err := readHeader(fsys, dir)
	switch damage, isDamage := errors.AsType[*seglog.DamageError](err); {
	case isDamage:
		unreadable = append(unreadable, damageOf(damage))
		salt = inbox.NewSalt()
	case errors.Is(err, fs.ErrNotExist):
		unreadable = append(unreadable, Damage{File: filepath.Join(dir, headerName), Reason: "it is missing"})
		salt = inbox.NewSalt()
	case err != nil:
		return found, kept, fmt.Errorf("salvage queue %q: %w", dir, err)
	}
	c := copier{fs: fsys, to: to, segmentBytes: largestSegment(fsys, dir)}
	found, err = examine(fsys, dir, salt, c.keep)
	if err = errors.Join(err, c.close(err == nil)); err != nil {
		return found, kept, err
	}
	found.Damage = append(unreadable, found.Damage...)
	// The new queue is one only now.
	if err := writeHeader(fsys, to, salt); err != nil {
		return found, kept, err
	}
	kept, err = check(fsys, to)
	return found, kept, err
}

// ofTarget says of an error that it is one of the folder to. That something is not there says that dir holds no queue, and so does
// that it is no folder: these are only told.
func ofTarget(to string, err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("make queue %q: %v", to, err)
	}
	return fmt.Errorf("make queue %q: %w", to, err)
}

// copier writes the records that it is given into a new log.
type copier struct {
	fs           vfs.FS
	to           string
	segmentBytes int64
	log          *seglog.Log // nil: there is none yet
}

// open makes the log, once.
func (c *copier) open() (err error) {
	if c.log == nil {
		o := seglog.Options{FS: c.fs, Dir: c.to, SegmentBytes: c.segmentBytes}
		if c.log, err = seglog.Open(o, func(seglog.Pos, []byte) error { return ErrNotEmpty }); err != nil {
			return ofTarget(c.to, err)
		}
	}
	return nil
}

func (c *copier) keep(_ seglog.Pos, rec []byte) error {
	if err := c.open(); err != nil {
		return err
	}
	_, _, err := c.log.Append(rec, true)
	return err
}

// close ends the log. A queue of which nothing is good has an empty one, if it is a queue.
func (c *copier) close(isQueue bool) error {
	if isQueue {
		if err := c.open(); err != nil {
			return err
		}
	}
	if c.log == nil {
		return nil
	}
	return c.log.Close()
}

// largestSegment returns the size of the largest segment in dir, as Open takes it: whatever is in one goes into another.
func largestSegment(fsys vfs.FS, dir string) int64 {
	names, _ := fsys.List(dir)
	size := int64(0)
	for _, name := range names {
		path := filepath.Join(dir, name)
		id, _ := strconv.ParseUint(strings.TrimSuffix(name, segmentSuffix), 10, 32)
		if path != segmentFile(dir, uint32(id)) {
			continue // it is none of the log's
		}
		f, err := fsys.OpenRead(path)
		if err != nil {
			continue // the check of the log says so
		}
		if n, err := f.Size(); err == nil {
			size = max(size, n)
		}
		_ = f.Close()
	}
	if size == 0 {
		return defaultSegmentBytes
	}
	const block = 4 << 10 // which a file that was cut short need not end with
	return min(max((size+block-1)/block*block, minSegmentBytes), mostSegmentBytes)
}
