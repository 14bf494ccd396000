package disk_test

import (
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/disk"
	"github.com/bachata-go/bachata/internal/inbox"
)

var testSalt = inbox.Salt{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

// golden are the examples of FORMAT.md.
var golden = []struct {
	name string
	ops  []inbox.Op
	hex  string
}{{
	name: "put",
	ops: []inbox.Op{{Kind: inbox.OpPut, Put: &inbox.Message{
		ID: bachata.ID{Text: "5", Number: true}, Origin: "a", From: "A", Dest: "b", Time: 1000,
		Payload: []byte("hi"), Size: 2,
		Targets: []inbox.Target{{Channel: "b", Seq: 2}, {Channel: "c", Seq: 4, Full: true}},
	}}},
	hex: "01 01 e807 0135 0161 0141 0162 02 04 0162 09 0163 02 6869",
}, {
	name: "removals",
	ops: []inbox.Op{
		{Kind: inbox.OpRemove, Channel: "b", Seq: 2, Cause: inbox.Delivered, By: "B", Time: 1001, Receipt: 6},
		{Kind: inbox.OpRemove, Channel: "b", Seq: 8, Cause: inbox.Delivered, By: "B", Time: 1001},
	},
	hex: "02 00 00 0162 0142 e907 02 06  02 01 08 00",
}, {
	name: "gap",
	ops: []inbox.Op{{Kind: inbox.OpGap, Channel: "b", Seq: 3,
		Gap: bachata.Gap{Dropped: 1, Expired: 2, Receipts: 300}}},
	hex: "03 0162 03 01 02 ac02",
}, {
	name: "receipt",
	ops: []inbox.Op{{Kind: inbox.OpReceipt, Channel: "a", Seq: 10, Cause: inbox.Expired, By: "b", Time: 1002,
		Entered: 1003, ID: bachata.StringID("x"), Dest: "b"}},
	hex: "04 00 01 0161 0a ea07 eb07 0178 0162 0162",
}, {
	name: "remembered",
	ops: []inbox.Op{{Kind: inbox.OpKnown, Known: &inbox.Known{
		Key: inbox.Key(testSalt), Origin: "a", Accepted: 1000,
		Told: []inbox.Told{{From: "B", Time: 1001, Cause: inbox.Delivered}},
	}}},
	hex: "05 000102030405060708090a0b0c0d0e0f 0161 e807 01 00 e907 0142",
}}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Receipts that leave together are as many removals in a record.
func TestRecordOfManyTaken(t *testing.T) {
	t.Parallel()
	one := inbox.Op{Kind: inbox.OpRemove, Channel: "a", Seq: 2, Cause: inbox.Taken, By: "A", Time: 1001}
	second, third, other := one, one, one
	second.Seq, third.Seq, other.Seq, other.Channel = 300, 5, 7, "b"
	together := one
	together.More = []uint64{300, 5}
	got, want := disk.AppendOps(nil, []inbox.Op{together, other}), disk.AppendOps(nil, []inbox.Op{one, second, third, other})
	if string(got) != string(want) {
		t.Errorf("encoded as %x, want %x", got, want)
	}
}

func TestRecordGolden(t *testing.T) {
	t.Parallel()
	for _, g := range golden {
		want := unhex(t, g.hex)
		if got := disk.AppendOps(nil, g.ops); string(got) != string(want) {
			t.Errorf("%s: encoded as %x, want %x", g.name, got, want)
		}
		ops, err := disk.Decode(want)
		if err != nil || !reflect.DeepEqual(ops, g.ops) {
			t.Errorf("%s: decoded as %+v, %v, want %+v", g.name, ops, err, g.ops)
		}
		for n := 1; n < len(want); n++ {
			if _, err := disk.Decode(want[:n]); err == nil && (g.name != "removals" || n != 11) {
				t.Errorf("%s: cut off after %d of %d bytes, it was decoded", g.name, n, len(want))
			}
		}
	}
}

func TestRecordMalformed(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"unknown kind":          "06",
		"unknown flag":          "01 08 e807 0135 0161 0141 0162 01 04 0162 02 6869",
		"two puts":              golden[0].hex + golden[0].hex,
		"same as nothing":       "02 01 08 00",
		"unknown cause":         "02 00 04 0162 0142 e907 02 06",
		"receipt of taken":      "04 00 03 0161 0a ea07 eb07 0178 0162 0162",
		"entry 0":               "03 0162 00 01 02 ac02",
		"entry too large":       "03 0162 ffffffffffffffffff01 01 02 03",
		"varint too long":       "03 0162 ffffffffffffffffffffff 01 02 03",
		"time too large":        "02 00 00 0162 0142 ffffffffffff7f 02 06",
		"more targets than fit": "01 01 e807 0135 0161 0141 0162 ffff03 04 0162 02 6869",
		"text past the end":     "03 7f62 03 01 02 03",
	} {
		if ops, err := disk.Decode(unhex(t, text)); err == nil {
			t.Errorf("%s: decoded as %+v, want an error", name, ops)
		}
	}
}

func TestHeader(t *testing.T) {
	t.Parallel()
	const text = "bachata-queue 1 000102030405060708090a0b0c0d0e0f 17dae470\n"
	if got := string(disk.EncodeHeader(testSalt)); got != text {
		t.Errorf("header is %q, want %q", got, text)
	}
	if salt, err := disk.DecodeHeader([]byte(text)); err != nil || salt != testSalt {
		t.Errorf("DecodeHeader(%q) = %x, %v", text, salt, err)
	}
	for i := range len(text) {
		b := []byte(text)
		b[i] ^= 1
		if _, err := disk.DecodeHeader(b); err == nil || errors.Is(err, disk.ErrVersion) {
			t.Errorf("a header with byte %d changed: %v, want an error that is not ErrVersion", i, err)
		}
	}
	const later = "bachata-queue 2 whatever is in it c941c699\n"
	if _, err := disk.DecodeHeader([]byte(later)); !errors.Is(err, disk.ErrVersion) || !strings.Contains(err.Error(), `"2"`) {
		t.Errorf("DecodeHeader(%q) = %v, want ErrVersion with the number", later, err)
	}
}

// FuzzRecord holds the decoder to what FORMAT.md says of malformed records: they are refused, whatever they are. What is
// decoded and encoded again decodes to the same.
func FuzzRecord(f *testing.F) {
	for _, g := range golden {
		f.Add(unhex(f, g.hex))
	}
	f.Fuzz(func(t *testing.T, rec []byte) {
		ops, err := disk.Decode(rec)
		if err != nil {
			return
		}
		again, err := disk.Decode(disk.AppendOps(nil, ops))
		if err != nil || !reflect.DeepEqual(again, ops) {
			t.Errorf("%x: decoded as %+v, then as %+v, %v", rec, ops, again, err)
		}
	})
}
