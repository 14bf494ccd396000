package bachata

import (
	"context"
	"errors"
	"strings"
)

// confirm notes a 200 and appends to keys what it takes off the inbox.
func (s *Session) confirm(keys []Key, t *Transport) []Key {
	c := s.center
	from, dest := c.hash(t.From), c.hash(t.Dest)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range t.IDs {
		hash := c.hash(id.Text)
		w := s.window.match(hash, from, dest)
		switch {
		case w == nil && t.From == "" && (s.forgot || s.done.has(hash)):
			// A second 200 for what this socket has confirmed, or a late one for what another has, must not take a later message
			// with the same id. If it was for what an earlier socket was written, then that comes again.
		case w == nil: // not written here: written to an earlier socket of the channel, perhaps
			keys = append(keys, Key{ID: strings.Clone(id.Text), From: t.From, Dest: t.Dest})
		case w.state == gone:
			s.window.remove(w)
			s.remember(hash)
		default:
			w.state = confirming
			s.remember(hash)
			keys = append(keys, Key{Cursor: w.cursor})
		}
	}
	return keys
}

// remember notes the id of what is in the window, and confirmed. s.mu is held.
func (s *Session) remember(hash uint64) {
	s.done.add(hash)
	s.used = true
}

// pop takes what keys name off the inbox. What fails is kept and tried again.
func (s *Session) pop(ctx context.Context, keys []Key) {
	popped, err := s.take(ctx, waited{s.center.queue}, keys)
	s.confirmed(keys, popped, err)
}

// take has the queue take what keys name off the inbox. What it does not answer for has failed.
func (s *Session) take(ctx context.Context, batch Batch, keys []Key) ([]Popped, error) {
	popped, err := batch.PopDelivered(ctx, s.hub.channel, s.from(), keys)
	if len(popped) != len(keys) {
		popped = make([]Popped, len(keys))
		if !errors.Is(err, ErrUnavailable) {
			err = errors.Join(ErrUnavailable, err)
		}
	}
	if err != nil {
		s.center.queueFailed("pop", err)
	} else {
		s.center.queueAnswered("pop")
	}
	return popped, err
}

// confirmed notes what became of keys.
func (s *Session) confirmed(keys []Key, popped []Popped, err error) {
	c := s.center
	var failed []Key
	var cursors []Cursor
	alone := s.hub.alone()
	confirmed, left := int64(0), 0
	s.mu.Lock()
	for i, key := range keys {
		if err != nil && !popped[i].Found {
			failed = append(failed, key)
			continue
		}
		cursor := key.Cursor
		if popped[i].Found {
			cursor = popped[i].Cursor
			if !alone {
				cursors = append(cursors, cursor)
			}
		}
		w := s.window.at(cursor) // a key without a cursor may name what was written while the pop was on its way
		if popped[i].Found && (key.Cursor == 0 || w != nil && w.id != 0) {
			confirmed++
		}
		if w != nil {
			s.window.remove(w)
			left++
		}
	}
	if err == nil && s.retryDelay != 0 { // calm is not written to
		s.retryDelay = 0
	}
	kick := left > 0 && s.freedLocked()
	s.mu.Unlock()
	c.count(CountConfirmed, confirmed)
	s.hub.confirmed(s, cursors)
	if kick {
		s.pump.kick(c, s)
	}
	if len(failed) > 0 {
		s.keep(failed)
	}
}

// keep sees to it that keys are popped later: those without a cursor up to one window of them.
func (s *Session) keep(keys []Key) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.engage()
	s.chores = true
	for _, key := range keys {
		if key.Cursor != 0 {
			if w := s.window.at(key.Cursor); w != nil && w.state == confirming {
				w.state = unpopped
			}
		} else if len(s.retryKeys) < s.center.options.Window.Messages {
			key.From, key.Dest = strings.Clone(key.From), strings.Clone(key.Dest) // parts of the frame of the 200
			s.retryKeys = append(s.retryKeys, key)
		}
	}
	s.mu.Unlock()
	s.retryLater()
}

// popAgain pops what could not be popped before.
func (s *Session) popAgain() {
	s.mu.Lock()
	keys := s.retryKeys
	if len(keys) > 0 {
		s.retryKeys = nil
	}
	s.window.each(unpopped, func(w *written) {
		w.state = confirming
		keys = append(keys, Key{Cursor: w.cursor})
	})
	s.mu.Unlock()
	if len(keys) > 0 {
		s.pop(s.center.ctx, keys)
	}
}

// retryLater has the pump run again after a while that grows from failure to failure.
func (s *Session) retryLater() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.retry != nil {
		return
	}
	s.engage()
	s.retryDelay = min(max(s.retryDelay*2, minRetry), maxRetry)
	s.retry = s.center.after(s.retryDelay, func(context.Context) {
		s.mu.Lock()
		if !s.closed {
			s.retry = nil
		}
		s.mu.Unlock()
		s.pump.kick(s.center, s)
	})
}

// outstanding returns how much was written and has not left the inbox.
func (s *Session) outstanding() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.window.messages
}
