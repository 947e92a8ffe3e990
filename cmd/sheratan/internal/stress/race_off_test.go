//go:build !race

package stress_test

// raceDetector builds the program with the race detector where the tests have it.
const raceDetector = false
