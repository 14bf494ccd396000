// Package faults holds the server to its promises while things go wrong: it is killed, paused, cut off, its disk is full, its
// Redis is killed.
//
// The tests start the server as a process, put clients to work against it, and let a fault happen. Every client records
// what it sent and saw (package history); afterwards a checker that knows nothing of the server reads the records and
// says which promise was broken (package checker). A run can be repeated by the seed that it prints, as far as the
// machine's timing allows; of TestRandom, whose server is in this process, one round is TestRandom/round_3:
//
//	go test ./internal/faults -run TestKillRounds -rounds 200 -seed 7 -v
//	go test ./internal/faults -run TestRedis -rounds 50 -seed 7 -v
//	go test ./internal/faults -run TestRandom -rounds 200 -seed 7 -v
//
// With -histories DIR the records of every run are kept there.
package faults
