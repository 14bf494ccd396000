//go:build !race

package bachata_test

const raceDetector = false
