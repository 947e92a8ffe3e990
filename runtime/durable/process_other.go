//go:build unix && !linux && !darwin

package durable

import "errors"

// BootID names the time from one boot of the machine to the next. It is not known here.
func BootID() (string, error) { return "", errors.ErrUnsupported }

// ProcessStart returns when a process was started. It is not known here.
func ProcessStart(int) (int64, error) { return 0, errors.ErrUnsupported }
