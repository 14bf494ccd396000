package redis_test

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/redistest"
	"github.com/bachata-go/bachata/redis"
)

// subscribe returns what is published for channel, up to a thousand payloads that nobody has read.
func subscribe(t *testing.T, q *redis.Queue, channel string) <-chan []byte {
	t.Helper()
	came := make(chan []byte, 1000)
	stop, err := q.Subscribe(channel, func(payload []byte) { came <- payload })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return came
}

// publishUntil publishes until it arrives, and returns once nothing of that is on its way any more.
func publishUntil(t *testing.T, q *redis.Queue, channel string, came <-chan []byte) {
	t.Helper()
	n := 0
	redistest.Eventually(t, "publish", func() error {
		n++
		if err := q.Publish(t.Context(), channel, []byte("probe")); err != nil {
			return err
		}
		select {
		case <-came:
			return nil
		default:
			return errors.New("nothing has come")
		}
	})
	last := []byte("last probe")
	if err := q.Publish(t.Context(), channel, last); err != nil {
		t.Fatal(err)
	}
	for !bytes.Equal(<-came, last) {
	}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T) redis.Options{
		"single":  func(t *testing.T) redis.Options { return options(redistest.Start(t).Addr()) },
		"cluster": func(t *testing.T) redis.Options { return options(redistest.StartCluster(t, 3).Nodes[0].Addr()) },
		"simple": func(t *testing.T) redis.Options {
			o := options(redistest.Start(t).Addr())
			o.Simple = true
			return o
		},
		"shared": func(t *testing.T) redis.Options {
			o := options(redistest.Start(t).Addr())
			o.Shared = true
			return o
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := two(t, start(t))
			for _, channel := range []string{"bob", "", "a:wait", "{x}\xff%"} {
				here, there, other := subscribe(t, a, channel), subscribe(t, b, channel), subscribe(t, b, "other")
				publishUntil(t, a, channel, there)
				for len(here) > 0 {
					<-here
				}
				payloads := [][]byte{[]byte(`{"type":"typing"}`), {}, []byte("\xff12345678"), bytes.Repeat([]byte("x"), 300<<10)}
				for i := range 50 {
					payloads = append(payloads, []byte(strconv.Itoa(i)))
				}
				for _, p := range payloads {
					if err := a.Publish(t.Context(), channel, p); err != nil {
						t.Fatal(err)
					}
				}
				for i, p := range payloads { // those of this node have it when Publish returns
					if got := <-here; !bytes.Equal(got, p) {
						t.Fatalf("%q: here payload %d is %.20q, want %.20q", channel, i, got, p)
					}
					if got := <-there; !bytes.Equal(got, p) {
						t.Fatalf("%q: there payload %d is %.20q, want %.20q", channel, i, got, p)
					}
				}
				publishUntil(t, b, channel, here) // by when an echo would have come
				if len(there) == 0 || len(other) > 0 {
					t.Errorf("%q: %d of its own came there, and %d for another channel", channel, len(there), len(other))
				}
				if stored, err := a.Fetch(t.Context(), channel, 0, bachata.Limit{}); err != nil || len(stored) > 0 {
					t.Errorf("%q: stored: %v, %v", channel, stored, err)
				}
			}
		})
	}
}

// While the server is away, the sockets of the same node are shown what is published, and Publish says that others are not.
func TestPublishWithoutServer(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	a, b := two(t, options(s.Addr()))
	here, there := subscribe(t, a, "bob"), subscribe(t, b, "bob")
	publishUntil(t, a, "bob", there)
	s.Kill()
	redistest.Eventually(t, "see that the server is away", func() error {
		for len(here) > 0 {
			<-here
		}
		err := a.Publish(t.Context(), "bob", []byte("x"))
		if len(here) != 1 {
			t.Fatalf("%d came here, want 1", len(here))
		}
		if !errors.Is(err, bachata.ErrUnavailable) {
			return fmt.Errorf("Publish() = %w", err)
		}
		return nil
	})
	s.Restart()
	publishUntil(t, a, "bob", there)
}

// What waits to be published is bounded, and nobody waits for it.
func TestPublishBehind(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := options(s.Addr())
	a := openQueue(t, o)
	s.Pause()
	defer s.Resume()
	var err error
	for range 40 { // MB
		if err = a.Publish(t.Context(), "bob", make([]byte, 1<<20)); err != nil {
			break
		}
	}
	if !errors.Is(err, bachata.ErrUnavailable) {
		t.Errorf("40 MB were published to a server that takes nothing: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if err := a.Publish(t.Context(), "bob", nil); !errors.Is(err, bachata.ErrQueueClosed) {
		t.Errorf("Publish() after Close: %v", err)
	}
	if _, err := a.Subscribe("bob", func([]byte) {}); !errors.Is(err, bachata.ErrQueueClosed) {
		t.Errorf("Subscribe() after Close: %v", err)
	}
}

// A primary that does not answer holds up nothing of what is published for channels of others.
func TestPublishPrimaryHangs(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	o := options(c.Nodes[1].Addr())
	o.Timeout = time.Minute
	a, b := two(t, o)
	var at [2]string // channels of the primary that will hang, and of another
	for i := 0; at[0] == "" || at[1] == ""; i++ {
		channel := fmt.Sprint("c", i)
		at[min(c.Owner(bucketSlot(t, c.Nodes[0], channel)), 1)] = channel
	}
	came := subscribe(t, b, at[1])
	publishUntil(t, a, at[1], came)
	c.Nodes[0].Pause()
	defer c.Nodes[0].Resume()
	publish := func(channel, payload string) {
		t.Helper()
		if err := a.Publish(t.Context(), channel, []byte(payload)); err != nil {
			t.Fatal(err)
		}
	}
	publish(at[0], "hangs")
	for i := range 10 {
		publish(at[1], strconv.Itoa(i))
		if got := string(<-came); got != strconv.Itoa(i) {
			t.Fatalf("%q came, want %d", got, i)
		}
		publish(at[0], "waits") // which fails once the first has had its minute
	}
}
