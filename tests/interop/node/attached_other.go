//go:build !linux

package node

import "syscall"

// attached makes a child. Only Linux tells it when this process ends.
func attached() *syscall.SysProcAttr { return nil }
