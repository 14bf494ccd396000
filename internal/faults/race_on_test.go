//go:build linux && race

package faults_test

// Under the race detector everything takes several times as long.
const (
	usualRounds  = 5
	randomRounds = 2
	redisRounds  = 3
)

var buildFlags = []string{"-race"}
