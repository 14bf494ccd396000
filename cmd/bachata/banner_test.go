package main

import (
	"path/filepath"
	"testing"
)

// The banner says where messages are kept, whatever folder the program was started from.
func TestBannerNamesTheWholeFolder(t *testing.T) {
	t.Parallel()
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for q, want := range map[queueSpec]string{
		{"disk", "data"}:                    "disk:" + filepath.Join(here, "data"),
		{"disk", here}:                      "disk:" + here,
		{"memory", ""}:                      "memory:",
		{"redis", "redis://anna:horse@h:1"}: "redis://***@h:1",
	} {
		if got := place(q); got != want {
			t.Errorf("place(%v) = %q, want %q", q, got, want)
		}
	}
}
