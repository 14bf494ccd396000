package seglog

import (
	"encoding/binary"
	"hash/crc32"
)

// SealStore sets the checksum of a store's header.
func SealStore(b []byte) []byte {
	binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
	return b
}

// StoreHeader makes the content of a store's header.
func StoreHeader(id byte) []byte {
	return storeHeader{version: formatVersion, id: storeID{id}}.encode()
}

// FixChecksums makes the most of arbitrary bytes as a segment: headers get the marks, ids and checksums that they must
// have, and lengths are believed.
func FixChecksums(b, store []byte, segment uint32) []byte {
	h, _ := decodeStoreHeader(store)
	salt := h.id.salt(segment)
	if len(b) < segmentHeaderBytes {
		return b
	}
	copy(b, segmentMagic)
	binary.LittleEndian.PutUint32(b[12:], segment)
	copy(b[16:], h.id[:])
	binary.LittleEndian.PutUint32(b[44:], uint32(len(b)))
	binary.LittleEndian.PutUint32(b[60:], checksum(salt, 0, b[:60]))
	for at := segmentHeaderBytes; at+batchHeaderBytes <= len(b); {
		body := int(binary.LittleEndian.Uint32(b[at+12:]))
		end := at + batchHeaderBytes + body
		if end < 0 || end > len(b) {
			return b
		}
		fixRecords(b[at+batchHeaderBytes:end], salt, int64(at+batchHeaderBytes))
		binary.LittleEndian.PutUint32(b[at:], batchMagic)
		binary.LittleEndian.PutUint32(b[at+8:], checksum(salt, int64(at), b[at+batchHeaderBytes:end]))
		binary.LittleEndian.PutUint32(b[at+4:], checksum(salt, int64(at), b[at+8:at+batchHeaderBytes]))
		at = end
	}
	return b
}

func fixRecords(b []byte, salt uint32, offset int64) {
	for len(b) >= recordHeaderBytes {
		n := int64(binary.LittleEndian.Uint32(b[4:]))
		if n > int64(len(b)-recordHeaderBytes) {
			return
		}
		binary.LittleEndian.PutUint32(b, checksum(salt, offset, b[4:recordHeaderBytes+n]))
		skip := min(recordBytes(int(n)), int64(len(b)))
		b, offset = b[skip:], offset+skip
	}
}
