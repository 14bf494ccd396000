package inbox_test

import (
	"context"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/internal/inbox"
)

// slowStore is a Backend in memory whose commits are safe only when somebody has waited for them.
type slowStore struct {
	ticket, synced uint64
	waits          int
	onWait         func() // called by Wait, once the commit is safe
	onRead         func(f *inbox.Found[int], e *bachata.Envelope)
}

func (s *slowStore) Write([]inbox.Op, bool) (inbox.Place[int], error) {
	s.ticket++
	return inbox.Place[int]{Ref: int(s.ticket), Ticket: s.ticket}, nil
}

func (s *slowStore) Wait(_ context.Context, ticket uint64) error {
	s.waits++
	s.synced = max(s.synced, ticket)
	if call := s.onWait; call != nil {
		s.onWait = nil // what it does may wait too
		call()
		s.onWait = call
	}
	return nil
}

func (s *slowStore) Read(f *inbox.Found[int], e *bachata.Envelope) error {
	if s.onRead != nil {
		s.onRead(f, e)
	}
	return nil
}

func (s *slowStore) Flush()                          {}
func (s *slowStore) Ready(int) bool                  { return true }
func (s *slowStore) Room(context.Context, int) error { return nil }
func (s *slowStore) Synced() uint64                  { return s.synced }
func (s *slowStore) Lead(uint64)                     {}
func (s *slowStore) Hold() func()                    { return func() {} }
func (s *slowStore) Err() error                      { return nil }

func newEngine(o bachata.QueueOptions, s inbox.Backend[int]) (*inbox.Engine[int], error) {
	o.SweepEvery = -1
	l, err := inbox.Resolve(o)
	if err != nil {
		return nil, err
	}
	return inbox.NewEngine(l, newBook(l), s, inbox.Salt{}), nil
}
