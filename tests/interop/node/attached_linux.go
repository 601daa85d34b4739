package node

import "syscall"

// attached makes a child that is killed when the test's process ends, in whatever way.
func attached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
