//go:build linux && !race

package faults_test

const (
	usualRounds  = 20
	randomRounds = 4
	redisRounds  = 10
)

var buildFlags []string
