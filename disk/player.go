package disk

import (
	"errors"
	"fmt"

	"github.com/bachata-go/bachata/internal/inbox"
	"github.com/bachata-go/bachata/internal/seglog"
)

// player applies the records of a log to a book.
type player struct {
	book    *inbox.Book[ref]
	decoder decoder
	now     int64
	salt    inbox.Salt
	salted  bool
}

func newPlayer(book *inbox.Book[ref], now int64) *player { return &player{book: book, now: now} }

// play applies one record.
func (p *player) play(pos seglog.Pos, rec []byte) error {
	if !p.salted {
		return errors.New("disk: the log holds records, but the file \"" + headerName + "\" is missing")
	}
	ops, err := p.decoder.decode(rec)
	if err != nil {
		return fmt.Errorf("record at offset %d of segment %d: %w", pos.Offset, pos.Segment, err)
	}
	for i := range ops {
		if m := ops[i].Put; m != nil && !m.ID.IsZero() {
			m.Key = p.salt.KeyOf(m.Origin, m.Dest, m.ID.Text)
		}
	}
	p.book.Apply(ops, ref{pos.Segment, pos.Offset, uint32(len(rec))}, pos.Segment)
	p.book.Age(p.now, 32)
	return nil
}
