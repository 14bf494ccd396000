package bachata_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/memory"
)

// BenchmarkCycle measures what a cycle costs without a network: a message with its 100, its delivery, its 200 and its
// 300, in bursts as they come with one read. What there is beyond that in bench/cycle is sockets.
func BenchmarkCycle(b *testing.B) {
	for _, burst := range []int{1, 32} {
		b.Run(fmt.Sprintf("burst=%d", burst), func(b *testing.B) { benchmarkCycle(b, burst) })
	}
}

func benchmarkCycle(b *testing.B, burst int) {
	c := storingCenter(b)
	const pairs = 50
	var senders, receivers [pairs]*cycleSocket
	for i := range pairs {
		receivers[i] = attachCycle(b, c, fmt.Sprintf("b%04d", i), `{"id":`)
		senders[i] = attachCycle(b, c, fmt.Sprintf("a%04d", i), `{"type":300`)
	}
	var messages, confirms [pairs][][]byte
	n := 0
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		for i := range pairs {
			messages[i], confirms[i] = messages[i][:0], confirms[i][:0]
			for range burst {
				n++
				messages[i] = append(messages[i], fmt.Appendf(nil,
					`{"id":"%016x","type":"direct","time":1763900000000,"dest":"b%04d","data":{"text":"Are you coming tonight? We start at eight."}}`, n, i))
				confirms[i] = append(confirms[i], fmt.Appendf(nil, `{"type":200,"data":"%016x"}`, n))
			}
		}
		for i := range pairs {
			senders[i].session.Receive(messages[i])
		}
		for i := range pairs {
			receivers[i].await(burst)
			receivers[i].session.Receive(confirms[i])
		}
		for i := range pairs {
			senders[i].await(burst)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*pairs*burst), "ns/cycle")
}

// cycleSocket counts the frames that begin with a prefix.
type cycleSocket struct {
	session *bachata.Session
	prefix  []byte
	came    chan int
	n       int
}

func attachCycle(b *testing.B, c *bachata.Center, channel, prefix string) *cycleSocket {
	s := &cycleSocket{prefix: []byte(prefix), came: make(chan int, 1024)}
	session, err := c.Attach(s, bachata.Identity{Channel: channel})
	if err != nil {
		b.Fatal(err)
	}
	s.session = session
	return s
}

func (s *cycleSocket) await(n int) {
	for ; s.n < n; s.n += <-s.came {
	}
	s.n -= n
}

func (s *cycleSocket) AppendFrame(dst, text []byte) []byte {
	return append(append(dst, 0x81, byte(len(text))), text...)
}

func (s *cycleSocket) AppendPing(dst, payload []byte) []byte {
	return append(append(dst, 0x89, byte(len(payload))), payload...)
}

func (s *cycleSocket) Write(frames []byte) error {
	came := 0
	for len(frames) > 0 {
		text := frames[2 : 2+int(frames[1])]
		switch {
		case frames[0] == 0x89:
			go s.session.Pong(bytes.Clone(text))
		case bytes.HasPrefix(text, s.prefix):
			came++
		}
		frames = frames[2+len(text):]
	}
	if came > 0 {
		s.came <- came
	}
	return nil
}

func (s *cycleSocket) Close(bachata.CloseCode, string) {}

// BenchmarkFanOut measures what it costs to deliver one message to each of 1,000 sockets, without a network: with a
// reliable queue each of them confirms it, and the sender has a receipt of each.
func BenchmarkFanOut(b *testing.B) {
	for _, mode := range []bachata.Mode{bachata.Simple, bachata.Reliable} {
		b.Run(mode.String(), func(b *testing.B) { benchmarkFanOut(b, mode) })
	}
}

func benchmarkFanOut(b *testing.B, mode bachata.Mode) {
	const members = 1000
	q := memory.New(&memory.Options{Simple: mode == bachata.Simple})
	defer q.Close()
	c := bachata.NewCenter(q, nil)
	defer c.Close()
	names := make([]string, members)
	for i := range names {
		names[i] = fmt.Sprintf("b%04d", i)
	}
	group := bachata.Group(func(context.Context, string, *bachata.Session) ([]string, error) { return names, nil })
	if err := c.AddRoute(group); err != nil {
		b.Fatal(err)
	}
	sender := attachCycle(b, c, "a", `{"type":300`)
	sockets := make([]*cycleSocket, members)
	for i := range sockets {
		sockets[i] = attachCycle(b, c, names[i], `{"id":`)
	}
	n := 0
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		n++
		message := fmt.Appendf(nil, `{"id":"%016x","type":"group","dest":"g","data":{"text":"Are you coming tonight? We start at eight."}}`, n)
		confirm := [][]byte{fmt.Appendf(nil, `{"type":200,"data":"%016x"}`, n)}
		sender.session.Receive([][]byte{message})
		for _, s := range sockets {
			s.await(1)
			if mode == bachata.Reliable {
				s.session.Receive(confirm)
			}
		}
		if mode == bachata.Reliable {
			sender.await(members)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*members), "ns/delivery")
}
