//go:build !linux

package history

import "syscall"

func dieWithParent(*syscall.SysProcAttr) {}
