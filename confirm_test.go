package bachata_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/bachata-go/bachata"
)

func TestTwoSocketsOneConfirms(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna, phone, laptop := connect(t, c, "anna"), connect(t, c, "bob"), connect(t, c, "bob")
		anna.send(hi)
		phone.expect(hiAt)
		laptop.expect(hiAt)
		phone.send(got1)
		laptop.send(got1)
		anna.expect(ok1, tick) // one receipt
		connect(t, c, "bob").expect()
	})
}

// A late 200 for what another socket has confirmed must not take a message of somebody else's with the same id.
func TestLate200TakesNothingElse(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna, carl := connect(t, c, "anna"), connect(t, c, "carl")
		phone, laptop := connect(t, c, "bob"), connect(t, c, "bob")
		anna.send(hi)
		carl.send(hi)
		phone.send(got1)
		anna.expect(ok1, tick)
		laptop.send(got1)
		carl.expect(ok1) // still waits for a 200 of its own
		laptop.send(got1)
		carl.expect(tick)
	})
}

func TestDouble200(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		anna.send(hi)
		bob.send(got1, got1)
		bob.send(got1)
		anna.expect(ok1, tick)
	})
}

// The second 200 for a message must not take somebody else's that was not even written.
func TestSecond200TakesNothingThatWaits(t *testing.T) {
	t.Parallel()
	bubble(t, &bachata.Options{Window: bachata.Limit{Messages: 1}}, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna, eve, bob := connect(t, c, "anna"), connect(t, c, "eve"), connect(t, c, "bob")
		anna.send(hi)
		eve.send(hi) // waits behind the window
		bob.expect(hiAt)
		bob.send(got1, got1)
		bob.expect(strings.Replace(hiAt, "anna", "eve", 1))
		anna.expect(ok1, tick)
		eve.expect(ok1)
		bob.send(got1)
		eve.expect(tick)
	})
}

// Nor must it where another socket has confirmed that message, and the first 200 of this one came too late.
func TestSecondLate200TakesNothingThatWaits(t *testing.T) {
	t.Parallel()
	bubble(t, &bachata.Options{Window: bachata.Limit{Messages: 1}}, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna, eve, phone, laptop := connect(t, c, "anna"), connect(t, c, "eve"), connect(t, c, "bob"), connect(t, c, "bob")
		anna.send(hi)
		laptop.expect(hiAt)
		phone.send(got1)
		anna.send(strings.Replace(hi, `"1"`, `"2"`, 1)) // fills the window
		eve.send(hi)                                    // waits behind it
		laptop.send(got1, got1)
		laptop.send(got1)
		eve.expect(ok1)
		laptop.send(`{"type":200,"data":"2"}`)
		laptop.expect(strings.Replace(hiAt, `"1"`, `"2"`, 1), strings.Replace(hiAt, "anna", "eve", 1))
		laptop.send(got1)
		eve.expect(tick)
	})
}

// However many messages other sockets have confirmed meanwhile: the 200s of a socket that is behind take nothing of others
// that it was not written.
func TestVeryLate200TakesNothingThatWaits(t *testing.T) {
	t.Parallel()
	bubble(t, &bachata.Options{Window: bachata.Limit{Messages: 1}}, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna, eve, phone, laptop := connect(t, c, "anna"), connect(t, c, "eve"), connect(t, c, "bob"), connect(t, c, "bob")
		for i := range 4 {
			id := fmt.Sprintf(`"%d"`, i+1)
			anna.send(strings.Replace(hi, `"1"`, id, 1))
			if i < 3 {
				phone.send(`{"type":200,"data":` + id + `}`)
			}
		}
		eve.send(hi) // waits behind the window
		laptop.send(got1, `{"type":200,"data":"1","dest":"bob"}`)
		eve.expect(ok1)
		laptop.send(`{"type":200,"data":"4"}`)
		eve.expect()
		if got, want := laptop.take(), strings.Replace(hiAt, "anna", "eve", 1); len(got) != 5 || got[4] != want {
			t.Errorf("the laptop was written %q, want anna's four messages and %s", got, want)
		}
		laptop.send(got1)
		eve.expect(tick)
	})
}

// The second 200 may say where the message went, which is where others went too.
func TestSecond200WithDestTakesNothingThatWaits(t *testing.T) {
	t.Parallel()
	bubble(t, &bachata.Options{Window: bachata.Limit{Messages: 1}}, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna, eve, bob := connect(t, c, "anna"), connect(t, c, "eve"), connect(t, c, "bob")
		anna.send(hi, strings.Replace(hi, `"1"`, `"2"`, 1))
		eve.send(hi) // waits behind the window, which the second of anna fills
		withDest := `{"type":200,"data":"1","dest":"bob"}`
		bob.send(withDest, withDest)
		bob.send(withDest)
		eve.expect(ok1)
		bob.send(`{"type":200,"data":"2"}`)
		bob.expect(hiAt, strings.Replace(hiAt, `"1"`, `"2"`, 1), strings.Replace(hiAt, "anna", "eve", 1))
		bob.send(withDest)
		eve.expect(tick)
	})
}

func TestPartial200(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna, carl, bob := connect(t, c, "anna"), connect(t, c, "carl"), connect(t, c, "bob")
		anna.send(hi)
		carl.send(hi)
		bob.send(`{"type":200,"data":"1","from":"carl","dest":"bob"}`)
		anna.expect(ok1)
		carl.expect(ok1, tick)
		bob.send(`{"type":200,"data":"1","from":"nobody"}`, `{"type":200,"data":"1","dest":"nobody"}`)
		anna.expect()
		bob.send(`{"type":200,"data":["1","1"]}`)
		anna.expect(tick)
		carl.expect()
	})
}

func Test200OfAnotherChannelHasNoEffect(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna, mallory := connect(t, c, "anna"), connect(t, c, "mallory")
		anna.send(hi)
		mallory.send(got1, `{"type":200,"data":"1","from":"anna","dest":"bob"}`)
		anna.expect(ok1)
		connect(t, c, "bob").expect(hiAt)
	})
}

func Test200BeforeItIsWrittenAgain(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, q *faultyQueue) {
		anna := connect(t, c, "anna")
		anna.send(hi)
		q.fetchFails.Store(true)
		bob := connect(t, c, "bob") // it has the message from an earlier socket
		bob.send(got1)
		q.fetchFails.Store(false)
		time.Sleep(10 * time.Second)
		bob.expect()
		anna.expect(ok1, tick)
	})
}

func TestFailedPopIsTriedAgain(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(t *testing.T, c *bachata.Center, q *faultyQueue) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		anna.send(hi)
		q.popFails.Store(true)
		bob.send(got1, `{"type":200,"data":"elsewhere"}`)
		time.Sleep(time.Minute)
		anna.expect(ok1)
		q.popFails.Store(false)
		time.Sleep(10 * time.Second)
		anna.expect(tick)
		bob.expect(hiAt) // once
	})
}

func TestFullWindowLearnsWhatOthersConfirmed(t *testing.T) {
	t.Parallel()
	bubble(t, &bachata.Options{Window: bachata.Limit{Messages: 1}}, func(t *testing.T, c *bachata.Center, _ *faultyQueue) {
		anna, phone, laptop := connect(t, c, "anna"), connect(t, c, "bob"), connect(t, c, "bob")
		second, secondAt := strings.Replace(hi, `"1"`, `"2"`, 1), strings.Replace(hiAt, `"1"`, `"2"`, 1)
		anna.send(hi, second)
		phone.expect(hiAt)
		laptop.expect(hiAt)
		phone.send(got1)
		phone.expect(secondAt)
		laptop.expect(secondAt)
	})
}

// As on a cluster: another node confirms, and this one is not told.
func TestFullWindowIsCheckedAgainstTheInbox(t *testing.T) {
	t.Parallel()
	bubble(t, &bachata.Options{Window: bachata.Limit{Messages: 1}}, func(t *testing.T, c *bachata.Center, q *faultyQueue) {
		anna, bob := connect(t, c, "anna"), connect(t, c, "bob")
		anna.send(hi, strings.Replace(hi, `"1"`, `"2"`, 1))
		bob.expect(hiAt)
		if _, err := q.Queue.PopDelivered(t.Context(), "bob", "bob", []bachata.Key{{ID: "1"}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Minute)
		if got := bob.take(); len(got) == 0 || got[len(got)-1] != strings.Replace(hiAt, `"1"`, `"2"`, 1) {
			t.Errorf("bob was written %q, want the second message", got)
		}
	})
}

// A 200 that is kept to be tried again keeps its names, not the frame that it came in. It is not parallel: it looks at the
// heap.
func TestKept200PinsNoFrame(t *testing.T) {
	const each, frames = 60 << 10, 200
	bubble(t, nil, func(t *testing.T, c *bachata.Center, q *faultyQueue) {
		bob := connect(t, c, "bob")
		q.popFails.Store(true)
		heap := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		before, padding := heap(), strings.Repeat("x", each)
		for i := range frames {
			bob.session.Receive([][]byte{fmt.Appendf(nil, `{"type":200,"data":"%d","from":"anna","dest":"bob","pad":"%s"}`, i, padding)})
		}
		if grown := int64(heap()) - int64(before); grown > each*frames/4 {
			t.Errorf("%d bytes are kept for %d failed 200s, of frames of %d", grown, frames, each)
		}
	})
}
