//go:build linux

package load

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bachata-go/bachata/bench/internal/proc"
	"github.com/bachata-go/bachata/bench/internal/wire"
)

// Listen is a process with so many clients that do nothing but answer pings: it says that they are connected, and then
// how many pings came.
func Listen(c proc.Config) error {
	if _, err := proc.RaiseFiles(); err != nil {
		return err
	}
	if c.TLS {
		return listenTLS(c)
	}
	runtime.LockOSThread()
	e, err := NewEngine(Bachata, func(*Conn, Kind, []byte) {})
	if err != nil {
		return err
	}
	for i := range c.Sockets {
		if _, err := e.Dial(c.Address, wire.Name('i', i%10000), i); err != nil {
			return fmt.Errorf("client %d: %w", i, err)
		}
		if i%100 == 0 {
			if err := e.Loop(0); err != nil { // those that are connected may be pinged
				return err
			}
		}
	}
	var pings atomic.Int64
	proc.Ready("connected", pings.Load)
	for {
		if err := e.Loop(time.Second); err != nil {
			return err
		}
		pings.Store(e.Pings)
	}
}

// listenTLS does the same with a goroutine for each client.
func listenTLS(c proc.Config) error {
	const dialers = 8
	var (
		pings   atomic.Int64
		dialing sync.WaitGroup
		numbers = make(chan int)
		failed  = make(chan error, c.Sockets+dialers)
		// The certificate is of the server's making; who it is does not matter here.
		config = &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}
	)
	for range dialers {
		dialing.Go(func() {
			for i := range numbers {
				if err := listenOne(c.Address, i, config, &pings, failed); err != nil {
					failed <- fmt.Errorf("client %d: %w", i, err)
					return
				}
			}
		})
	}
	for i := range c.Sockets {
		select {
		case numbers <- i:
		case err := <-failed:
			return err
		}
	}
	close(numbers)
	dialing.Wait()
	proc.Ready("connected", pings.Load)
	return <-failed
}

func listenOne(addr string, n int, config *tls.Config, pings *atomic.Int64, failed chan<- error) error {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: source(n).AsSlice()}, Timeout: time.Minute}
	conn, err := tls.DialWithDialer(&dialer, "tcp", addr, config)
	if err != nil {
		return err
	}
	if _, err := conn.Write([]byte(wire.Handshake(wire.Name('i', n%10000)))); err != nil {
		return err
	}
	r := bufio.NewReaderSize(conn, 512)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
	}
	// The first frame is a short one.
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	if _, err := r.Discard(int(head[1])); err != nil {
		return err
	}
	go func() {
		var head [2]byte
		for {
			if _, err := io.ReadFull(r, head[:]); err != nil {
				failed <- err
				return
			}
			if head[0]&0xf != wire.Ping || head[1] != 0 {
				failed <- fmt.Errorf("got the frame %x", head)
				return
			}
			pings.Add(1)
			if _, err := conn.Write(wire.AppendClient(nil, wire.Pong, "")); err != nil {
				failed <- err
				return
			}
		}
	}()
	return nil
}
