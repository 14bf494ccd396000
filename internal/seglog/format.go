package seglog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// The format of the files, as FORMAT.md has it. All numbers are little-endian.
const (
	formatVersion = 1

	storeMagic   = "bachsto\x1a"
	segmentMagic = "bachseg\x1a"
	batchMagic   = 0xb47c4ed1

	storeHeaderBytes   = 64
	segmentHeaderBytes = 64
	batchHeaderBytes   = 32
	recordHeaderBytes  = 8
	alignment          = 8

	// flagClean marks the empty batch that Close writes.
	flagClean = 1
)

// The names of the files in a store's directory.
const (
	storeName     = "store"
	storeTempName = "store.tmp"
	lockName      = "lock"
	prepareName   = "prepare.tmp"
	segmentSuffix = ".seg"
	segmentDigits = 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// storeID tells one store's files from another's.
type storeID [16]byte

// salt is what the checksums of a segment begin with, so that what an older segment, or another store, left in a file
// is never taken for its content.
func (id storeID) salt(segment uint32) uint32 {
	return crc32.Update(crc32.Checksum(id[:], castagnoli), castagnoli, binary.LittleEndian.AppendUint32(nil, segment))
}

// checksum covers the place too, so that content which ended up elsewhere in its file is found.
func checksum(salt uint32, offset int64, p []byte) uint32 {
	return crc32.Update(salt^uint32(offset), castagnoli, p)
}

// storeHeader is the content of the file "store".
type storeHeader struct {
	version uint32
	id      storeID
}

func (h storeHeader) encode() []byte {
	b := make([]byte, storeHeaderBytes)
	copy(b, storeMagic)
	binary.LittleEndian.PutUint32(b[8:], h.version)
	copy(b[16:], h.id[:])
	binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
	return b
}

// decodeStoreHeader returns why b is no header, if it is none.
func decodeStoreHeader(b []byte) (h storeHeader, bad string) {
	if len(b) != storeHeaderBytes {
		return h, fmt.Sprintf("it has %d bytes, want %d", len(b), storeHeaderBytes)
	}
	if string(b[:8]) != storeMagic {
		return h, "it does not begin as a store does"
	}
	if crc32.Checksum(b[:60], castagnoli) != binary.LittleEndian.Uint32(b[60:]) {
		return h, "wrong checksum of the store's header"
	}
	h.version = binary.LittleEndian.Uint32(b[8:])
	h.id = storeID(b[16:32])
	return h, ""
}

// segmentHeader is what a segment begins with once it is in use.
type segmentHeader struct {
	version  uint32
	segment  uint32
	id       storeID
	first    uint64 // number of its first batch
	previous uint32 // length of the segment before it; zero if there was none
	size     uint32 // of the file
}

func (h segmentHeader) encode() []byte {
	b := make([]byte, segmentHeaderBytes)
	copy(b, segmentMagic)
	binary.LittleEndian.PutUint32(b[8:], h.version)
	binary.LittleEndian.PutUint32(b[12:], h.segment)
	copy(b[16:], h.id[:])
	binary.LittleEndian.PutUint64(b[32:], h.first)
	binary.LittleEndian.PutUint32(b[40:], h.previous)
	binary.LittleEndian.PutUint32(b[44:], h.size)
	binary.LittleEndian.PutUint32(b[60:], checksum(h.id.salt(h.segment), 0, b[:60]))
	return b
}

// decodeSegmentHeader returns why b is no header, if it is none. The salt is made of what it says itself, so that
// the header that a recycled file still has is recognized.
func decodeSegmentHeader(b []byte) (h segmentHeader, bad string) {
	if len(b) < segmentHeaderBytes || string(b[:8]) != segmentMagic {
		return h, "no segment header"
	}
	h.version = binary.LittleEndian.Uint32(b[8:])
	h.segment = binary.LittleEndian.Uint32(b[12:])
	h.id = storeID(b[16:32])
	h.first = binary.LittleEndian.Uint64(b[32:])
	h.previous = binary.LittleEndian.Uint32(b[40:])
	h.size = binary.LittleEndian.Uint32(b[44:])
	if checksum(h.id.salt(h.segment), 0, b[:60]) != binary.LittleEndian.Uint32(b[60:]) {
		return h, "wrong checksum of the segment header"
	}
	return h, ""
}

// batchHeader is what a batch begins with.
type batchHeader struct {
	bodySum uint32
	body    uint32 // bytes
	number  uint64
	records uint32
	flags   uint32
}

// encode writes the header into b for a batch at offset.
func (h batchHeader) encode(b []byte, salt uint32, offset int64) {
	binary.LittleEndian.PutUint32(b, batchMagic)
	binary.LittleEndian.PutUint32(b[8:], h.bodySum)
	binary.LittleEndian.PutUint32(b[12:], h.body)
	binary.LittleEndian.PutUint64(b[16:], h.number)
	binary.LittleEndian.PutUint32(b[24:], h.records)
	binary.LittleEndian.PutUint32(b[28:], h.flags)
	binary.LittleEndian.PutUint32(b[4:], checksum(salt, offset, b[8:batchHeaderBytes]))
}

// decodeBatchHeader returns why b is no header of a batch at offset, if it is none.
func decodeBatchHeader(b []byte, salt uint32, offset int64) (h batchHeader, bad string) {
	if len(b) < batchHeaderBytes || binary.LittleEndian.Uint32(b) != batchMagic {
		return h, "no batch header"
	}
	if checksum(salt, offset, b[8:batchHeaderBytes]) != binary.LittleEndian.Uint32(b[4:]) {
		return h, "wrong checksum of the batch header"
	}
	h.bodySum = binary.LittleEndian.Uint32(b[8:])
	h.body = binary.LittleEndian.Uint32(b[12:])
	h.number = binary.LittleEndian.Uint64(b[16:])
	h.records = binary.LittleEndian.Uint32(b[24:])
	h.flags = binary.LittleEndian.Uint32(b[28:])
	return h, ""
}

// recordBytes is the room that a record of n bytes takes.
func recordBytes(n int) int64 {
	return (recordHeaderBytes + int64(n) + alignment - 1) &^ (alignment - 1)
}

// appendRecord appends a record that will stand at offset.
func appendRecord(b []byte, salt uint32, offset int64, rec []byte) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(rec)))
	b = append(b, rec...)
	binary.LittleEndian.PutUint32(b[start:], checksum(salt, offset, b[start+4:]))
	var zeros [alignment]byte
	return append(b, zeros[:recordBytes(len(rec))-int64(len(b)-start)]...)
}

// decodeRecord returns the record at the beginning of b, which stands at offset, or why there is none.
func decodeRecord(b []byte, salt uint32, offset int64) (rec []byte, bad string) {
	if len(b) < recordHeaderBytes {
		return nil, "no room for a record header"
	}
	n := int64(binary.LittleEndian.Uint32(b[4:]))
	if n > int64(len(b)-recordHeaderBytes) {
		return nil, fmt.Sprintf("a record of %d bytes where %d are left", n, len(b)-recordHeaderBytes)
	}
	if checksum(salt, offset, b[4:recordHeaderBytes+n]) != binary.LittleEndian.Uint32(b) {
		return nil, "wrong checksum of a record"
	}
	return b[recordHeaderBytes : recordHeaderBytes+n : recordHeaderBytes+n], ""
}

func segmentName(id uint32) string {
	return fmt.Sprintf("%0*d%s", segmentDigits, id, segmentSuffix)
}

// parseSegmentName returns false for what is no name of a segment.
func parseSegmentName(name string) (uint32, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != segmentDigits {
		return 0, false
	}
	id, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || id == 0 {
		return 0, false
	}
	return uint32(id), true
}
