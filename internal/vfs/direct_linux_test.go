package vfs

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// No other test can tell that a host would lose what was written without O_DSYNC.
func TestDirectFlags(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, make([]byte, DirectBlock), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := OS{}.OpenDirect(name)
	if err != nil {
		t.Fatalf("%v: if the file system takes no O_DIRECT, set TMPDIR to one that does", err)
	}
	defer f.Close()
	flags, err := unix.FcntlInt(f.(osDirect).Fd(), unix.F_GETFL, 0)
	if err != nil {
		t.Fatal(err)
	}
	const want = syscall.O_DIRECT | syscall.O_DSYNC
	if flags&want != want {
		t.Errorf("the flags are %#x, without some of %#x", flags, want)
	}
}
