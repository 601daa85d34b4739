//go:build !linux

package playground

import "syscall"

// attached makes a child that gets no signals of the terminal. Only Linux tells it when this process dies.
func attached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
