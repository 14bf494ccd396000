package history_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"github.com/bachata-go/bachata/internal/faults/history"
)

func TestRecordAndRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clock := history.NewClock()
	r, err := history.Create(dir, history.Header{Client: "anna-1", Channel: "anna", From: "Anna"}, clock)
	if err != nil {
		t.Fatal(err)
	}
	sent := history.Event{Kind: history.Send, Conn: 1, ID: "5", Dest: "bob", To: []string{"bob", "carl"}, Sum: 7, Size: 12}
	r.Record(sent)
	r.Record(history.Event{Kind: history.Ack, Conn: 1, ID: "5", Dup: true})
	for range 2 {
		if err := r.Close(); err != nil {
			t.Fatalf("Close() = %v, want nil", err)
		}
	}
	all, err := history.ReadDir(dir)
	if err != nil || len(all) != 1 {
		t.Fatalf("ReadDir() = %d histories, %v, want 1", len(all), err)
	}
	h := all[0]
	if h.Client != "anna-1" || h.Channel != "anna" || h.From != "Anna" || len(h.Events) != 2 {
		t.Fatalf("read %+v with %d events", h.Header, len(h.Events))
	}
	sent.At = h.Events[0].At
	if !reflect.DeepEqual(h.Events[0], sent) || !h.Events[1].Dup {
		t.Errorf("read %+v, want %+v and a dup", h.Events, sent)
	}
}

// TestConcurrentRecords: the lines of a file are in the order of their times, or Parse refuses it.
func TestConcurrentRecords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r, err := history.Create(dir, history.Header{Client: "a"}, history.NewClock())
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				r.Record(history.Event{Kind: history.Show})
			}
		})
	}
	all.Wait()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	read, err := history.ReadDir(dir)
	if err != nil || len(read[0].Events) != 1600 {
		t.Errorf("ReadDir() = %v, %v, want 1600 events", len(read), err)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	const header = `{"history":1,"client":"a"}` + "\n"
	for _, c := range []struct {
		name, text string
		events     int
		bad        bool
	}{
		{"whole", header + `{"at":1,"kind":"quiet"}` + "\n", 1, false},
		{"torn last line", header + `{"at":1,"kind":"quiet"}` + "\n" + `{"at":2,"ki`, 1, false},
		{"torn last line that happens to be whole", header + `{"at":1,"kind":"quiet"}`, 0, false},
		{"empty", "", 0, true},
		{"no header", `{"at":1,"kind":"quiet"}` + "\n", 0, true},
		{"another version", `{"history":2,"client":"a"}` + "\n", 0, true},
		{"trash in the middle", header + "trash\n" + `{"at":1,"kind":"quiet"}` + "\n", 0, true},
		{"clock goes back", header + `{"at":2,"kind":"quiet"}` + "\n" + `{"at":1,"kind":"quiet"}` + "\n", 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h, err := history.Parse([]byte(c.text))
			if errors.Is(err, history.ErrFormat) != c.bad || len(h.Events) != c.events {
				t.Errorf("Parse(%q) = %d events, %v, want %d, bad %v", c.text, len(h.Events), err, c.events, c.bad)
			}
		})
	}
}

func TestReadDirNamesTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.jsonl"), []byte("trash\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := history.ReadDir(dir); !errors.Is(err, history.ErrFormat) {
		t.Errorf("ReadDir() = %v, want ErrFormat", err)
	}
}
