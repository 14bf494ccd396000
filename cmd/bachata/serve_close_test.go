package main

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A queue whose disk is stuck does not keep the program from ending.
func TestStuckQueueIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan bool)
		start := time.Now()
		err := closeInTime(func() error {
			<-stuck
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), "has not answered for 5s") || time.Since(start) != closeTimeout {
			t.Errorf("after %v closeInTime() = %v, want that the storage has not answered for 5s", time.Since(start), err)
		}
		close(stuck)
	})
	want := errors.New("disk error")
	if err := closeInTime(func() error { return want }); err != want {
		t.Errorf("closeInTime() = %v, want %v", err, want)
	}
}
