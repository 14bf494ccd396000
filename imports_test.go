package bachata_test

import (
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// The root package is the concept: a program that uses one backend must not carry the others.
func TestRootImportsNoBackend(t *testing.T) {
	t.Parallel()
	allowed := []string{"github.com/gobwas/ws", "github.com/go-json-experiment/json/jsontext"}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		read++
		file, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(strings.Split(path, "/")[0], ".") { // the standard library
				continue
			}
			ok := false
			for _, prefix := range allowed {
				ok = ok || path == prefix || strings.HasPrefix(path, prefix+"/")
			}
			if !ok {
				t.Errorf("%s imports %q, which the root package must not", f.Name(), path)
			}
		}
	}
	if read < 10 {
		t.Errorf("read %d files only", read)
	}
}
