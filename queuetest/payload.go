package queuetest

import (
	"bytes"
	"fmt"

	"github.com/bachata-go/bachata"
)

// pattern is n bytes that differ from place to place and from seed to seed.
func pattern(seed, n int) []byte {
	b := make([]byte, n)
	state := uint32(seed)*2654435761 + 1
	for i := range b {
		state = state*1664525 + 1013904223
		b[i] = byte(state >> 24)
	}
	return b
}

func payloadClauses() []clause {
	sizes := []int{0, 1, 2, 127, 128, 255, 256, 511, 512, 513, 4095, 4096, 4097, 65535, 65536, 70_000, 1 << 20, 5 << 20}
	return []clause{
		{
			name: "payload/sizes", mode: bothModes,
			text: "a queue stores bytes: a payload of 0 bytes to 5 MiB comes back as it was put",
			run: func(x *fixture) {
				var batch []bachata.Item
				for i, n := range sizes {
					m := message(fmt.Sprint(i), "bob")
					m.Payload = pattern(i, n)
					batch = append(batch, m)
				}
				x.stored(batch...)
				x.reopenIfDurable()
				x.holdsItems("bob", batch...)
			},
		}, {
			name: "payload/one by one", mode: reliableMode,
			text: "payloads of any size come back in the order in which they were put, read one by one",
			run: func(x *fixture) {
				for i := len(sizes) - 1; i >= 0; i-- {
					m := message(fmt.Sprint(i), "bob")
					m.Payload = pattern(i, sizes[i])
					x.stored(m)
				}
				after := bachata.Cursor(0)
				for i := len(sizes) - 1; i >= 0; i-- {
					page := x.fetchAfter("bob", after, bachata.Limit{Messages: 1})
					if len(page) != 1 || !bytes.Equal(page[0].Payload, pattern(i, sizes[i])) {
						x.broken("the message of %d bytes did not come back as it was put", sizes[i])
						return
					}
					after = page[0].Cursor
				}
			},
		}, {
			name: "payload/any bytes", mode: bothModes,
			text: "payloads are bytes: NUL, line ends, what is no UTF-8 and what looks like a record of a store are kept",
			run: func(x *fixture) {
				var batch []bachata.Item
				all := make([]byte, 256)
				for i := range all {
					all[i] = byte(i)
				}
				for i, p := range [][]byte{all, []byte("\x00"), []byte("\r\n"), []byte("\xff\xfe"), []byte("*1\r\n$4\r\nPING\r\n"), make([]byte, 10_000), bytes.Repeat([]byte{0xff}, 5000)} {
					m := message(fmt.Sprint(i), "bob")
					m.Payload = p
					batch = append(batch, m)
				}
				x.stored(batch...)
				x.reopenIfDurable()
				x.holdsItems("bob", batch...)
			},
		}, {
			name: "payload/kept", mode: reliableMode,
			text: "byte slices that a queue returns are the caller's to keep: nothing that happens later changes them",
			run: func(x *fixture) {
				var held []bachata.Envelope
				for i := range 100 {
					m := message(fmt.Sprint(i), "bob")
					m.Payload = pattern(i, 300)
					x.stored(m)
					held = append(held, x.fetch("bob")...)
					x.popped("bob", "bob", byID(fmt.Sprint(i)))
				}
				for i, e := range held {
					if !bytes.Equal(e.Payload, pattern(i, 300)) || e.From != "anna" || e.ID.Text != fmt.Sprint(i) {
						x.broken("the envelope that was fetched as number %d has changed since", i)
						return
					}
				}
			},
		},
	}
}
