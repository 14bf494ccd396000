package redis

// ApartFrom returns o for a queue in which the receipts of messages to more than n inboxes stand apart from their records.
func ApartFrom(o Options, n int) Options {
	o.many = n
	return o
}
