package playground

import "syscall"

// attached makes a child that is told to stop when this process dies, in whatever way.
func attached() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
