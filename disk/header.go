package disk

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/bachata-go/bachata/internal/inbox"
	"github.com/bachata-go/bachata/internal/seglog"
	"github.com/bachata-go/bachata/internal/vfs"
)

// The file that makes a log a queue: one line of text with the format's version, the salt and a checksum.
const (
	headerName    = "queue"
	headerTemp    = "queue.tmp"
	headerVersion = "1"
	headerMax     = 256
)

// ErrVersion is returned for a queue in a format that this version does not know.
var ErrVersion = errors.New("disk: unknown format version")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encodeHeader(salt inbox.Salt) []byte {
	return seal("bachata-queue " + headerVersion + " " + hex.EncodeToString(salt[:]))
}

// seal ends a line with its checksum.
func seal(line string) []byte {
	return fmt.Appendf(nil, "%s %08x\n", line, crc32.Checksum([]byte(line), castagnoli))
}

func decodeHeader(b []byte) (salt inbox.Salt, err error) {
	words := strings.Fields(string(b))
	if len(words) < 2 || words[0] != "bachata-queue" {
		return salt, errors.New("it does not begin as a queue does")
	}
	// First, since a damaged version is none that is unknown. All versions have it in this place.
	line := string(b[:max(0, bytes.LastIndexByte(b, ' '))])
	if string(seal(line)) != string(b) {
		return salt, errors.New("wrong checksum")
	}
	if words[1] != headerVersion {
		return salt, fmt.Errorf("%w %q, this program knows %q", ErrVersion, words[1], headerVersion)
	}
	if len(words) == 4 && hex.DecodedLen(len(words[2])) == len(salt) {
		if _, err := hex.Decode(salt[:], []byte(words[2])); err == nil && string(encodeHeader(salt)) == string(b) {
			return salt, nil
		}
	}
	return salt, errors.New("it holds no salt")
}

// readHeader returns the salt of the queue in dir. It returns fs.ErrNotExist if there is none.
func readHeader(fsys vfs.FS, dir string) (salt inbox.Salt, err error) {
	name := filepath.Join(dir, headerName)
	f, err := fsys.OpenRead(name)
	if err != nil {
		return salt, err
	}
	defer func() { _ = f.Close() }()
	size, err := f.Size()
	if err != nil {
		return salt, fmt.Errorf("read size of %s: %w", name, err)
	}
	b := make([]byte, min(size, headerMax))
	if _, err := f.ReadAt(b, 0); err != nil && len(b) > 0 {
		return salt, fmt.Errorf("read %s: %w", name, err)
	}
	salt, err = decodeHeader(b)
	if errors.Is(err, ErrVersion) {
		return salt, fmt.Errorf("%s: %w", name, err)
	}
	if err != nil {
		return salt, &seglog.DamageError{File: name, Reason: err.Error()}
	}
	return salt, nil
}

// makeHeader makes the file in dir, or reads it if there is one by now. The log's lock is held.
func makeHeader(fsys vfs.FS, dir string) (salt inbox.Salt, err error) {
	if salt, err = readHeader(fsys, dir); !errors.Is(err, fs.ErrNotExist) {
		return salt, err
	}
	salt = inbox.NewSalt()
	return salt, writeHeader(fsys, dir, salt)
}

// writeHeader makes the file in dir. It is there wholly or not at all.
func writeHeader(fsys vfs.FS, dir string, salt inbox.Salt) error {
	temp := filepath.Join(dir, headerTemp)
	if err := writeFile(fsys, temp, encodeHeader(salt)); err != nil {
		return fmt.Errorf("write %s: %w", temp, err)
	}
	name := filepath.Join(dir, headerName)
	if err := fsys.Rename(temp, name); err != nil {
		return fmt.Errorf("rename %s: %w", temp, err)
	}
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func writeFile(fsys vfs.FS, name string, b []byte) error {
	f, err := fsys.Create(name)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
