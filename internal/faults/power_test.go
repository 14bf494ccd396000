//go:build linux && long

package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/bachata-go/bachata/internal/faults/checker"
	"github.com/bachata-go/bachata/internal/faults/client"
	"github.com/bachata-go/bachata/internal/faults/proc"
)

// TestPowerLoss takes the power from the file system of a running server: an ext4 on a loop device is shut down at a
// random moment without writing its log, so that it forgets everything that was not synced. The server is killed, the
// file system is mounted again and the server started on what is left. It needs root, loop devices, losetup and
// mkfs.ext4, and is therefore not part of the usual tests:
//
//	go test -tags long ./internal/faults -run TestPowerLoss -rounds 200 -v
//
// What the drive itself may lose of what it has confirmed, this can't show.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	disk := newImage(t, 1<<30)
	server := newServer(t, proc.Options{Dir: filepath.Join(disk.mounted, "queue")})
	t.Cleanup(func() {
		if err := server.Kill(); err != nil { // it holds files open there
			t.Error(err)
		}
		disk.unmount(t)
	})
	var sum checker.Report
	for round := range roundsOr(usualRounds) {
		s := newScene(t, fmt.Sprintf("round-%03d", round))
		random := rand.New(rand.NewPCG(*seed, uint64(round)))
		start(t, server)
		for i, name := range []string{"anna", "bob", "carl", "dora"} {
			s.join(t, fmt.Sprintf("%s-%d", name, round), client.Options{Addr: server.Addr(), Sockets: 1 + i%2, Seed: random.Uint64()})
		}
		ctx, cancel := context.WithCancel(t.Context())
		loaded := make(chan error, 1)
		loadSeed := random.Uint64()
		go func() { loaded <- s.load(ctx, 8*time.Millisecond, loadSeed) }()
		pace(ctx, between(random, 50, 500))
		disk.shutDown(t)
		pace(ctx, between(random, 0, 50))
		if err := server.Kill(); err != nil {
			t.Error(err)
		}
		disk.unmount(t)
		disk.mount(t)
		start(t, server)
		pace(ctx, between(random, 50, 150))
		cancel()
		if err := <-loaded; err != nil {
			t.Error(err)
		}
		s.settle(t)
		report := s.judge(t, serverWindow)
		add(&sum, report)
		if err := server.Kill(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Fatalf("round %d of seed %d: %s", round, *seed, report)
		}
	}
	t.Logf("seed %d: %d rounds; %s", *seed, roundsOr(usualRounds), sum)
}

// image is an ext4 file system in a file.
type image struct {
	device  string // the loop device
	mounted string // where
	is      bool   // mounted now
}

func newImage(t *testing.T, size int64) *image {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	command(t, "mkfs.ext4", "-q", "-F", file.Name())
	disk := &image{device: command(t, "losetup", "--find", "--show", file.Name()), mounted: filepath.Join(t.TempDir(), "disk")}
	t.Cleanup(func() {
		disk.unmount(t)
		command(t, "losetup", "--detach", disk.device)
	})
	if err := os.Mkdir(disk.mounted, 0o755); err != nil {
		t.Fatal(err)
	}
	disk.mount(t)
	return disk
}

func (d *image) mount(t *testing.T) {
	t.Helper()
	if err := syscall.Mount(d.device, d.mounted, "ext4", 0, ""); err != nil {
		t.Fatalf("mount %s: %v", d.device, err)
	}
	d.is = true
}

func (d *image) unmount(t *testing.T) {
	t.Helper()
	if !d.is {
		return
	}
	if err := syscall.Unmount(d.mounted, 0); err != nil {
		t.Fatalf("unmount %s: %v", d.mounted, err)
	}
	d.is = false
}

// shutDown stops the file system for good, as it is on the device now (EXT4_IOC_SHUTDOWN in linux/fs/ext4/ext4.h).
func (d *image) shutDown(t *testing.T) {
	t.Helper()
	const (
		request    = 2<<30 | 4<<16 | 'X'<<8 | 125 // _IOR('X', 125, __u32)
		noLogFlush = 2
	)
	root, err := os.Open(d.mounted)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	how := uint32(noLogFlush)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, root.Fd(), request, uintptr(unsafe.Pointer(&how))); errno != 0 {
		t.Fatalf("shut down the file system: %v", errno)
	}
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}
