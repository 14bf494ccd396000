//go:build linux && !race

package faults_test

const usualRounds = 20

var buildFlags []string
