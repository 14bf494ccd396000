package bachata_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/memory"
)

const (
	idleSockets   = 15_000
	idleTarget    = 1 << 10 // bytes of resident memory an idle socket
	idleTargetTLS = 10 << 10
	idleWait      = time.Minute

	idleClientEnv = "BACHATA_IDLE_CLIENT" // makes of the test's binary the client
)

// BenchmarkIdle measures what a socket costs that has got its 1000, and its pings, and nothing else: resident memory of
// this process with 15,000 of them after a minute, less that without any. The garbage collector is left as it is. It
// needs Linux, and about 15,100 descriptors in each of two processes.
func BenchmarkIdle(b *testing.B) {
	b.Run("TCP", func(b *testing.B) {
		for b.Loop() {
			measureIdle(b, idleTarget, (*httptest.Server).Start)
		}
	})
	b.Run("TLS", func(b *testing.B) {
		for b.Loop() {
			measureIdle(b, idleTargetTLS, (*httptest.Server).StartTLS)
		}
	})
}

func measureIdle(b *testing.B, target int, start func(*httptest.Server)) {
	queue := memory.New(nil)
	defer queue.Close()
	center := bachata.NewCenter(queue, nil)
	if err := center.AddRoute(bachata.Direct()); err != nil {
		b.Fatal(err)
	}
	h := &bachata.Handler{Center: center, Authenticate: byName}
	server := httptest.NewUnstartedServer(h)
	server.Listener, server.TLS = bachata.NewListener(server.Listener, nil), bachata.TLSConfig(nil)
	start(server)
	defer server.Close()
	before := residentBytes(b)

	// The client is a process of its own, so that its memory is not counted.
	ctx, cancel := context.WithTimeout(context.Background(), idleWait+5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), idleClientEnv+"=ws"+strings.TrimPrefix(server.URL, "http"))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "connected\n" {
		b.Fatalf("client said %q, %v", line, err)
	}
	early := residentBytes(b) - before
	time.Sleep(idleWait) // the minute is what is measured
	each := (residentBytes(b) - before) / idleSockets
	b.ReportMetric(float64(each), "RSS-B/socket")
	b.ReportMetric(float64(early/idleSockets), "RSS-B/socket-at-once")
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(runtime.NumGoroutine()), "goroutines")
	if each > target {
		b.Errorf("an idle socket costs %d bytes, the target is %d", each, target)
	}

	_ = stdin.Close() // ends the client
	if err := cmd.Wait(); err != nil {
		b.Errorf("client: %v", err)
	}
	if err := center.Close(); err != nil {
		b.Error(err)
	}
	if err := h.Shutdown(ctx); err != nil {
		b.Error(err)
	}
}

// residentBytes returns the resident memory of this process.
func residentBytes(b *testing.B) int {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	if err != nil {
		b.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// idleClient opens sockets to target, says so, and answers pings until its input ends.
func idleClient(target string) int {
	const dialers = 32
	names := make(chan int)
	failed := make(chan error, dialers)
	var dialing sync.WaitGroup
	for range dialers {
		dialing.Go(func() {
			for i := range names {
				if err := idle(fmt.Sprintf("%s/?channel=user-%d", target, i)); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	for i := range idleSockets {
		select {
		case names <- i:
		case err := <-failed:
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	close(names)
	dialing.Wait()
	fmt.Println("connected")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// idle opens a socket, reads its 1000, and leaves it to a goroutine.
func idle(url string) error {
	conn, r, _, err := ws.Dialer{Timeout: time.Minute, TLSConfig: trustTests}.Dial(context.Background(), url)
	if err != nil {
		return err
	}
	var in io.Reader = conn
	if r != nil {
		in = r
	}
	if op, payload, err := readFrame(in); err != nil || op != text {
		return fmt.Errorf("first came opcode %d, payload %q, error %w", op, payload, err)
	}
	go func() {
		for {
			op, payload, err := readFrame(in)
			if err != nil {
				return
			}
			if op == ping {
				_, _ = conn.Write(frame(fin|pong, string(payload)))
			}
		}
	}()
	return nil
}
