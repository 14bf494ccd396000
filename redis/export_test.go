package redis

import (
	"context"

	"github.com/redis/rueidis"
)

// ApartFrom returns o for a queue in which the receipts of messages to more than n inboxes stand apart from their records.
func ApartFrom(o Options, n int) Options {
	o.many = n
	return o
}

// LeaveToGeneral has q, on a cluster, leave all but its pops to the scripts for all cases.
func LeaveToGeneral(q *Queue) {
	none := rueidis.NewLuaScript("return 0")
	q.scripts.claimNew, q.scripts.settleNew, q.scripts.receiveNew = none, none, none
}

// OneByOne has q, on a cluster, work on one bucket after the other.
func OneByOne(q *Queue) { q.oneByOne = true }

// AwaitLeft waits until q, on a cluster, has taken what has arrived out of the lists out.
func AwaitLeft(q *Queue) { q.awaitLeft() }

// Age has q forget the old ids of channels.
func Age(q *Queue, channels ...string) {
	for _, c := range channels {
		q.age(context.Background(), q.keys.lead(q.keys.bucket(c)))
	}
}
