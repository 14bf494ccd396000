package inbox

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/bachata-go/bachata"
)

// Defaults and bounds of bachata.QueueOptions.
const (
	defaultMessages = 10_000
	defaultBytes    = 64 << 20
	defaultAge      = 30 * 24 * time.Hour
	defaultReceipts = 100_000
	defaultWindow   = time.Hour
	minWindow       = 2 * time.Minute
	maxWindow       = 7 * 24 * time.Hour
	defaultCap      = 4_000_000
	defaultSweep    = time.Minute
	maxBytes        = 1 << 40
)

// Limits are bachata.QueueOptions with the defaults filled in. Times are milliseconds.
type Limits struct {
	Simple, DropOldest bool

	Messages   int
	Bytes      int64
	Age        int64
	Receipts   int
	ReceiptAge int64
	Window     int64
	Cap        int

	Sweep  time.Duration // zero: never
	Now    func() time.Time
	Logger *slog.Logger // never nil
	count  func(c bachata.Counter)
}

// Resolve fills in the defaults of o and refuses what is out of bounds, naming the field and its limit.
func Resolve(o bachata.QueueOptions) (Limits, error) {
	l := Limits{Simple: o.Simple, DropOldest: o.DropOldest, Now: o.Now, Logger: o.Logger}
	if l.Now == nil {
		l.Now = time.Now
	}
	if l.Logger == nil {
		l.Logger = slog.New(slog.DiscardHandler)
	}
	l.count = func(c bachata.Counter) {
		if o.Counters != nil {
			o.Counters.Add(c, 1)
		}
	}
	var err error
	pick := func(field string, v, def, least, most int64) int64 {
		if v == 0 {
			return def
		}
		if (v < least || v > most) && err == nil {
			err = fmt.Errorf("%s is %d, must be %d to %d", field, v, least, most)
		}
		return v
	}
	span := func(field string, v, def, least, most time.Duration) int64 {
		if v == 0 {
			v = def
		}
		if (v < least || v > most) && err == nil {
			err = fmt.Errorf("%s is %v, must be %v to %v", field, v, least, most)
		}
		return v.Milliseconds()
	}
	const forever = 100 * 365 * 24 * time.Hour
	l.Messages = int(pick("InboxMessages", int64(o.InboxMessages), defaultMessages, 1, 1<<30))
	l.Bytes = pick("InboxBytes", int64(o.InboxBytes), defaultBytes, 1, maxBytes)
	l.Age = span("InboxAge", o.InboxAge, defaultAge, time.Millisecond, forever)
	l.Receipts = int(pick("Receipts", int64(o.Receipts), defaultReceipts, 1, 1<<30))
	l.ReceiptAge = span("ReceiptAge", o.ReceiptAge, defaultAge, time.Millisecond, forever)
	l.Window = span("Dedupe", o.Dedupe, defaultWindow, minWindow, maxWindow)
	l.Cap = int(pick("DedupeCap", int64(o.DedupeCap), defaultCap, 1, 1<<30))
	switch {
	case o.SweepEvery == 0:
		l.Sweep = defaultSweep
	case o.SweepEvery > 0:
		l.Sweep = o.SweepEvery
	}
	return l, err
}
