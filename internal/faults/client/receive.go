package client

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"github.com/bachata-go/bachata/internal/faults/history"
)

// frame is every frame that a server sends.
type frame struct {
	Type     json.RawMessage `json:"type"`
	ID       json.RawMessage `json:"id"`
	Data     json.RawMessage `json:"data"`
	From     string          `json:"from"`
	Dest     string          `json:"dest"`
	Dup      bool            `json:"dup"`
	Code     string          `json:"code"`
	Reason   string          `json:"reason"`
	Dropped  int             `json:"dropped"`
	Expired  int             `json:"expired"`
	Receipts int             `json:"receipts"`
}

const confirmAtOnce = 500 // ids in one 200

// receive handles one frame. An error means that the server broke the protocol, which ends the connection.
func (c *Client) receive(conn *conn, text []byte) error {
	var f frame
	if err := json.Unmarshal(text, &f); err != nil {
		return fmt.Errorf("read frame %.100q: %w", text, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.notify()
	record := func(e history.Event) {
		e.Conn = conn.number
		c.options.Recorder.Record(e)
	}
	if strings.HasPrefix(string(f.Type), `"`) {
		return c.message(conn, &f, record)
	}
	id, err := textOf(f.Data)
	switch string(f.Type) {
	case "100":
		record(history.Event{Kind: history.Ack, ID: id, Dup: f.Dup})
		c.answered(id)
	case "300", "480", "481":
		var code int
		if err := json.Unmarshal(f.Type, &code); err != nil {
			return err
		}
		record(history.Event{Kind: history.Receipt, ID: id, From: f.From, Dest: f.Dest, Code: code})
		if r := (receipt{id, f.From}); !c.told[r] {
			c.told[r] = true
			record(history.Event{Kind: history.Tell, ID: id, From: f.From, Code: code})
		}
		if code == 300 {
			c.answered(id) // it implies the 100
		}
	case "400":
		record(history.Event{Kind: history.Refuse, ID: id, Reason: f.Code})
		c.refusals[f.Code]++
		c.reasons[f.Code] = f.Reason
		switch f.Code {
		case "unavailable":
			c.late(id)
		case "window_full":
		default:
			if id != "" {
				c.refused[id] = f.Code
			}
			c.answered(id)
		}
	case "1000":
		record(history.Event{Kind: history.Open, From: f.From})
		c.conns[conn] = true
		if c.primary == nil {
			c.lead(conn)
		}
	case "1001":
		conn.text([]byte(`{"type":1002}`))
	case "1003":
		var ms int64
		if err := json.Unmarshal(f.Data, &ms); err != nil {
			return fmt.Errorf("read 1003: %w", err)
		}
		c.backoff = time.Duration(ms) * time.Millisecond
	case "1004":
		record(history.Event{Kind: history.Gap, Dropped: f.Dropped, Expired: f.Expired, Receipts: f.Receipts})
	default:
		return nil // not known here: ignored
	}
	return err
}

// message shows a message to the application, unless it was shown before, and confirms it.
func (c *Client) message(conn *conn, f *frame, record func(history.Event)) error {
	id, err := textOf(f.ID)
	if err != nil {
		return err
	}
	k := key{f.From, id}
	record(history.Event{Kind: history.Message, ID: id, From: f.From, Dest: f.Dest, Sum: crc32.ChecksumIEEE(f.Data), Size: len(f.Data)})
	if !c.seen[k] {
		c.seen[k] = true
		record(history.Event{Kind: history.Show, ID: id, From: f.From})
	}
	conn.unsent = append(conn.unsent, note{key: k, spelled: string(f.ID), dest: f.Dest})
	return nil
}

// Hold stops confirming, or goes on: then it confirms at once what it has held back on connections that still live.
func (c *Client) Hold(hold bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holding = hold
	for conn := range c.conns {
		c.confirm(conn)
	}
}

func (c *Client) flush(conn *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.confirm(conn)
}

// confirm confirms what has come on conn, one by one or several at a time, in one of the forms that a 200 may have.
func (c *Client) confirm(conn *conn) {
	for !c.holding && len(conn.unsent) > 0 {
		if c.careless && c.forget(conn) {
			continue
		}
		n := 1
		if c.random.IntN(4) > 0 {
			n = min(len(conn.unsent), confirmAtOnce)
		}
		if c.options.Named {
			n = alike(conn.unsent[:n])
		}
		ids := make([]string, 0, n)
		first, same := conn.unsent[0], true
		for _, u := range conn.unsent[:n] {
			ids = append(ids, u.spelled)
			same = same && u.from == first.from && u.dest == first.dest
			c.options.Recorder.Record(history.Event{Kind: history.Confirm, Conn: conn.number, ID: u.id, From: u.from})
		}
		conn.unsent = conn.unsent[n:]
		data := strings.Join(ids, ",")
		if n > 1 {
			data = "[" + data + "]"
		}
		form := c.random.IntN(3)
		if c.options.Named {
			form = 1 + c.random.IntN(2)
		}
		var text []byte
		switch {
		case same && form == 1:
			text = fmt.Appendf(nil, `{"type":200,"data":%s,"from":%q}`, data, first.from)
		case same && form == 2:
			text = fmt.Appendf(nil, `{"type":200,"data":%s,"from":%q,"dest":%q}`, data, first.from, first.dest)
		default:
			text = fmt.Appendf(nil, `{"type":200,"data":%s}`, data)
		}
		c.say(conn, text)
		if c.careless && n <= 64 && c.random.IntN(8) == 0 { // the server remembers as many
			c.say(conn, text)
		}
	}
}

// alike returns how many of the first have the sender and destination of the first.
func alike(list []note) int {
	n := 1
	for n < len(list) && list[n].from == list[0].from && list[n].dest == list[0].dest {
		n++
	}
	return n
}

// textOf returns the text of an id, empty if there is none.
func textOf(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", nil
	}
	if raw[0] != '"' {
		return string(raw), nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", fmt.Errorf("read id %q: %w", raw, err)
	}
	return text, nil
}
