//go:build race

package stress_test

import "time"

// raceDetector builds the program with the race detector where the tests have it.
const raceDetector = true

// promptly is how soon the program has to do what should take it no time.
const promptly = 10 * time.Second
