package transcript

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFiles reads every transcript: each says what it shows, and each frame that is expected as JSON is JSON.
func TestFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "wire", "*.wire"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts found: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Parse(string(text))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if !strings.HasPrefix(string(text), "# ") {
			t.Errorf("%s does not begin with what it shows", file)
		}
		for _, step := range s.Steps {
			if step.Verb != Receive && step.Verb != Unordered {
				continue
			}
			want, err := Expand(step.Text)
			if err == nil {
				_, err = parse(want)
			}
			if err != nil {
				t.Errorf("%s: %v: %v", file, step, err)
			}
		}
	}
}
