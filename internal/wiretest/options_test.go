package wiretest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestOptions keeps the list of options in testdata/wire/README.md true.
func TestOptions(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "wire", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(text), "Options: ")
	list, _, _ = strings.Cut(list, ". Sizes")
	names := strings.FieldsFunc(list, func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz-", r) })
	if len(names) < 10 || !slices.Contains(names, "dedupe") {
		t.Fatalf("the list of options reads %q", names)
	}
	for _, name := range names {
		_, _, err := options(map[string]string{name: "1"})
		if err != nil && strings.Contains(err.Error(), "no such option") {
			t.Errorf("option %s is not known", name)
		}
	}
}
