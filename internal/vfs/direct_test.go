package vfs_test

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"unsafe"

	"github.com/bachata-go/bachata/internal/vfs"
)

func TestAlignedBytes(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 100, 1000, 2000, vfs.DirectBlock, vfs.DirectBlock + 1, 3 * vfs.DirectBlock, 1 << 20} {
		for range 20 {
			b := vfs.AlignedBytes(n)
			if at := uintptr(unsafe.Pointer(&b[0])) % vfs.DirectBlock; len(b) != n || cap(b) != n || at != 0 {
				t.Fatalf("AlignedBytes(%d): %d bytes, room for %d, %d behind a block's beginning", n, len(b), cap(b), at)
			}
		}
	}
}

// Mem is as strict as a host: whole blocks only, at whole blocks, from aligned memory.
func TestMemDirectIsStrict(t *testing.T) {
	t.Parallel()
	m := newMem(t)
	create(t, m, "f", string(make([]byte, 4*vfs.DirectBlock)))
	f, err := m.OpenDirect(filepath.Join(dir, "f"))
	if err != nil {
		t.Fatal(err)
	}
	b := vfs.AlignedBytes(3 * vfs.DirectBlock)
	for _, test := range []struct {
		name   string
		p      []byte
		offset int64
	}{
		{"length", b[:vfs.DirectBlock+512], 0},
		{"offset", b[:vfs.DirectBlock], 512},
		{"memory", b[8 : 8+vfs.DirectBlock], 0},
		{"nothing", nil, 0},
	} {
		if n, err := f.WriteAt(test.p, test.offset); n != 0 || !vfs.IsNotDirect(err) {
			t.Errorf("%s: WriteAt = %d, %v", test.name, n, err)
		}
	}
	if n, err := f.WriteAt(b, vfs.DirectBlock); n != len(b) || err != nil {
		t.Errorf("WriteAt = %d, %v", n, err)
	}
}

// A write past the cache is safe at once, and makes nothing else safe: what the cache has is not written with it.
func TestMemDirectSyncsOnlyItself(t *testing.T) {
	t.Parallel()
	m := newMem(t)
	const block = vfs.DirectBlock
	f := create(t, m, "f", string(make([]byte, 3*block)))
	syncFile(t, f)
	syncDir(t, m)
	write(t, f, string(bytes.Repeat([]byte("c"), 3*block)), 0)
	d, err := m.OpenDirect(filepath.Join(dir, "f"))
	if err != nil {
		t.Fatal(err)
	}
	b := vfs.AlignedBytes(block)
	copy(b, bytes.Repeat([]byte("d"), block))
	if _, err := d.WriteAt(b, block); err != nil {
		t.Fatal(err)
	}
	lost, kept := false, false
	for seed := range uint64(30) {
		after, err := m.Crash(rand.New(rand.NewPCG(seed, 0))).Open(filepath.Join(dir, "f"))
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 3*block)
		if _, err := after.ReadAt(got, 0); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got[block:2*block], b) {
			t.Fatal("what was written past the cache is lost")
		}
		for _, at := range []int{0, 2 * block} {
			lost, kept = lost || got[at] == 0, kept || got[at] == 'c'
		}
	}
	if !lost || !kept {
		t.Errorf("of what is in the cache alone, something is lost: %t, something is kept: %t", lost, kept)
	}
}
