//go:build !linux

package durable

import (
	"errors"
	"os"
)

// Exchange swaps two files that both exist; only Linux has a way to do that in one step.
func Exchange(a, b string) error {
	return &os.LinkError{Op: "exchange", Old: a, New: b, Err: errors.ErrUnsupported}
}
