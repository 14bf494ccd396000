package disk_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/disk"
	"github.com/bachata-go/bachata/internal/vfs"
)

// readAll returns what all files of a directory hold.
func readAll(t *testing.T, fsys vfs.FS, dir string) map[string][]byte {
	t.Helper()
	names, err := fsys.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, name := range names {
		f, err := fsys.OpenRead(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		size, err := f.Size()
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, size)
		if _, err := f.ReadAt(b, 0); err != nil && size > 0 {
			t.Fatal(err)
		}
		_ = f.Close()
		files[name] = b
	}
	return files
}

// scribble writes over what is in a file.
func scribble(t *testing.T, fsys vfs.FS, name string, at int64, b []byte) {
	t.Helper()
	f, err := fsys.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// damage changes a byte of each text, wherever in the log it stands.
func damage(t *testing.T, fsys vfs.FS, dir string, texts ...string) {
	t.Helper()
	for name, b := range readAll(t, fsys, dir) {
		for _, text := range texts {
			if at := bytes.Index(b, []byte(text)); at >= 0 {
				scribble(t, fsys, filepath.Join(dir, name), int64(at), []byte{b[at] ^ 1})
			}
		}
	}
}

func payloads(list []bachata.Envelope) (texts []string) {
	for _, e := range list {
		text, _, _ := strings.Cut(string(e.Payload), " ")
		texts = append(texts, text)
	}
	return texts
}

// numbered returns a message of anna's to bob that is found in the log by its number. Some fill a segment.
func numbered(n int) bachata.Item {
	return bachata.Item{
		Channels: []string{"bob"}, Origin: "anna", From: "anna", Dest: "bob", ID: bachata.StringID(strconv.Itoa(n)),
		Payload: []byte(fmt.Sprintf("<%d> ", n) + strings.Repeat("x", 4<<10)),
	}
}

// What stood where the damage is is missing, and nothing else: order, receipts and known ids are as they were.
func TestSalvage(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	q := open(t, mem, bachata.QueueOptions{})
	for n := range 100 {
		put(t, q, numbered(n))
	}
	var keys []bachata.Key
	for n := range 20 {
		keys = append(keys, bachata.Key{ID: strconv.Itoa(n)})
	}
	pop(t, q, "bob", keys...)
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	damage(t, mem, "q", "<33> ", "<34> ", "<70> ")
	before := readAll(t, mem, "q")

	if _, err := disk.Open("q", &disk.Options{FS: mem}); err == nil {
		t.Fatal("a damaged queue was opened")
	}
	found, kept, err := disk.SalvageIn(mem, "q", "new")
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Damage) < 2 || found.Messages != 77 || found.Receipts != 20 {
		t.Errorf("found: %d messages, %d receipts, %v; want 77, 20, and damage", found.Messages, found.Receipts, found.Damage)
	}
	if len(kept.Damage) > 0 || kept.Messages != 77 || kept.Receipts != 20 || kept.Remembered != 20 || !kept.Clean {
		t.Errorf("kept: %+v; want 77 messages, 20 receipts, 20 ids, no damage", kept)
	}
	if !maps.EqualFunc(before, readAll(t, mem, "q"), bytes.Equal) {
		t.Error("the damaged queue was changed")
	}

	q, err = disk.Open("new", &disk.Options{SegmentBytes: smallSegment, FS: mem})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	var want []string
	for n := 20; n < 100; n++ {
		if n != 33 && n != 34 && n != 70 {
			want = append(want, fmt.Sprintf("<%d>", n))
		}
	}
	if got := payloads(fetch(t, q, "bob")); !slices.Equal(got, want) {
		t.Errorf("waiting: %v, want %v", got, want)
	}
	for n, status := range map[int]bachata.PutStatus{
		5: bachata.Duplicate, 50: bachata.Duplicate, 34: bachata.Stored, // the only trace of which is lost
	} {
		if got := put(t, q, numbered(n)); got[0] != status {
			t.Errorf("%d again is %v, want %v", n, got[0], status)
		}
	}
	if popped := pop(t, q, "bob", bachata.Key{ID: "99"}); !popped[0].Found {
		t.Error("the last one can't be confirmed")
	}
	receipts := fetch(t, q, "anna")
	if len(receipts) != 22 || receipts[0].ID.Text != "0" || receipts[21].ID.Text != "99" { // that of 5 twice
		t.Errorf("%d receipts: %v", len(receipts), receipts)
	}
}

// The new queue has the segments of the old one, whatever else is in that folder.
func TestSalvageLeavesOtherFilesAlone(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	q := open(t, mem, bachata.QueueOptions{})
	put(t, q, numbered(1))
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := mem.Create("q/old.seg")
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(make([]byte, 8*smallSegment), 0)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := disk.SalvageIn(mem, "q", "new"); err != nil {
		t.Fatal(err)
	}
	want := len(readAll(t, mem, "q")["0000000001.seg"])
	if got := len(readAll(t, mem, "new")["0000000001.seg"]); got != want {
		t.Errorf("its segment has %d bytes, want %d", got, want)
	}
}

func TestSalvageSays(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		change   func(t *testing.T, mem *vfs.Mem)
		to       string
		err      error
		places   int // that are damaged
		messages int
	}{
		{name: "nothing is damaged", messages: 9},
		{name: "damaged header", messages: 9, places: 1, change: func(t *testing.T, mem *vfs.Mem) {
			scribble(t, mem, "q/queue", 0, []byte("x"))
		}},
		{name: "no header", messages: 9, places: 1, change: func(t *testing.T, mem *vfs.Mem) {
			if err := mem.Remove("q/queue"); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "no queue", err: fs.ErrNotExist, change: func(t *testing.T, mem *vfs.Mem) {
			for name := range readAll(t, mem, "q") {
				if err := mem.Remove(filepath.Join("q", name)); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{name: "a removal is damaged", messages: 10, places: 1, change: func(t *testing.T, mem *vfs.Mem) {
			damage(t, mem, "q", "who confirms")
		}},
		{name: "target not empty", to: "q", err: disk.ErrNotEmpty},
		{name: "in use", err: disk.ErrLocked, change: func(t *testing.T, mem *vfs.Mem) {
			open(t, mem, bachata.QueueOptions{})
		}},
		{name: "no room", err: errNoRoom, change: func(t *testing.T, mem *vfs.Mem) { mem.SetCapacity(1) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			mem := vfs.NewMem()
			q := open(t, mem, bachata.QueueOptions{})
			for n := range 10 {
				put(t, q, numbered(n))
			}
			if _, err := q.PopDelivered(t.Context(), "bob", "who confirms", []bachata.Key{{ID: "0"}}); err != nil {
				t.Fatal(err)
			}
			if err := q.Close(); err != nil {
				t.Fatal(err)
			}
			if test.change != nil {
				test.change(t, mem)
			}
			to := "new"
			if test.to != "" {
				to = test.to
			}
			found, kept, err := disk.SalvageIn(mem, "q", to)
			if test.err == errNoRoom {
				if err == nil {
					t.Error("salvaged without room")
				}
				return
			}
			if !errors.Is(err, test.err) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if err != nil {
				if names, _ := mem.List("new"); len(names) > 0 {
					t.Errorf("left behind: %v", names)
				}
				return
			}
			if len(found.Damage) != test.places || kept.Messages != test.messages || len(kept.Damage) > 0 {
				t.Errorf("found %v, kept %d messages; want %d places, %d", found.Damage, kept.Messages, test.places, test.messages)
			}
			q, err = disk.Open(to, &disk.Options{SegmentBytes: smallSegment, FS: mem})
			if err != nil {
				t.Fatal(err)
			}
			defer q.Close()
			if got := put(t, q, numbered(0))[0]; got != bachata.Duplicate {
				t.Errorf("an id from before is %v", got)
			}
			if got := put(t, q, numbered(100))[0]; got != bachata.Stored {
				t.Errorf("a new one is %v", got)
			}
		})
	}
}

var errNoRoom = errors.New("any")

// Whatever is damaged: what is salvaged is a queue, with nothing in it that was not there, in order, and all of it whose
// bytes are as they were.
func TestSalvageAnything(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		mem := vfs.NewMem()
		q := open(t, mem, bachata.QueueOptions{})
		const messages = 60
		confirmed := map[int]bool{}
		for n := range messages {
			put(t, q, numbered(n))
			if seed%2 == 1 && n%3 == 0 {
				confirmed[n] = true
				pop(t, q, "bob", bachata.Key{ID: strconv.Itoa(n)})
			}
		}
		if seed%2 == 1 { // what waits in the first segment is written anew
			if done, err := q.ReclaimOldest(); err != nil || !done {
				t.Fatalf("reclaimed: %v, %v", done, err)
			}
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		before := readAll(t, mem, "q")
		names := slices.Sorted(maps.Keys(before))
		for range 1 + rnd.IntN(4) {
			name := names[rnd.IntN(len(names))]
			size := len(before[name])
			if size == 0 {
				continue
			}
			at := rnd.IntN(size)
			rubbish := make([]byte, min(1+rnd.IntN(4<<10), size-at))
			if rnd.IntN(2) == 0 {
				for i := range rubbish {
					rubbish[i] = byte(rnd.Uint32())
				}
			}
			scribble(t, mem, filepath.Join("q", name), int64(at), rubbish)
		}
		after := readAll(t, mem, "q")
		found, kept, err := disk.SalvageIn(mem, "q", "new")
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if len(kept.Damage) > 0 || kept.Messages != found.Messages {
			t.Fatalf("seed %d: found %d messages, kept %d, %v", seed, found.Messages, kept.Messages, kept.Damage)
		}
		q, err = disk.Open("new", &disk.Options{SegmentBytes: smallSegment, FS: mem})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		last, lost := -1, messages-len(confirmed)
		for _, e := range fetch(t, q, "bob") {
			text, _, _ := strings.Cut(strings.Trim(string(e.Payload), "<"), ">")
			n, err := strconv.Atoi(text)
			if err != nil || n <= last || !bytes.Equal(e.Payload, numbered(n).Payload) {
				t.Fatalf("seed %d: %.20q comes behind %d", seed, e.Payload, last)
			}
			if last = n; !confirmed[n] { // one of those waits again if what said so is damaged
				lost--
			}
		}
		changed := 0 // blocks of 4 KiB, each of which may hold parts of two messages
		for name, b := range before {
			for at := 0; at < len(b); at += 4 << 10 {
				end := min(at+4<<10, len(b))
				if !bytes.Equal(b[at:end], after[name][at:end]) {
					changed++
				}
			}
		}
		if lost > 2*changed {
			t.Errorf("seed %d: %d messages are lost though only %d blocks were changed: %v", seed, lost, changed, found.Damage)
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
