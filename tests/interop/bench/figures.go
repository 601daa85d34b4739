package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// figures are what a process has used so far.
type figures struct {
	cpu     time.Duration
	written uint64 // bytes to the disk
	syncs   uint64 // zero where they are not known
}

func (f figures) since(before figures) figures {
	return figures{f.cpu - before.cpu, f.written - before.written, f.syncs - before.syncs}
}

// figures reads what the system knows of a member, and what it says of itself.
func (m *member) figures(h *host) figures {
	f := figures{cpu: cpuOf(h, m.Pid()), written: writtenBy(h, m.Pid())}
	if m.metrics != "" {
		f.syncs = metric(h, m.metrics, "stormcell_journal_syncs_total")
	}
	return f
}

// tick is the unit of times in /proc: a hundredth of a second on every Linux.
const tick = 10 * time.Millisecond

// cpuOf is what a process has used of all cores, in user and kernel mode.
func cpuOf(h *host, pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(h, err)
	// The second field is the name, in parentheses; utime and stime are the 14th and the 15th.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	var all time.Duration
	for _, field := range fields[11:13] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		require.NoError(h, err)
		all += time.Duration(ticks) * tick
	}
	return all
}

// writtenBy is how many bytes a process has caused to be written to the disk.
func writtenBy(h *host, pid int) uint64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	require.NoError(h, err)
	for _, line := range strings.Split(string(text), "\n") {
		if value, ok := strings.CutPrefix(line, "write_bytes: "); ok {
			n, err := strconv.ParseUint(value, 10, 64)
			require.NoError(h, err)
			return n
		}
	}
	require.Fail(h, "no write_bytes in /proc")
	return 0
}

// metric reads one figure from what Prometheus is told.
func metric(h *host, address, name string) uint64 {
	answer, err := http.Get("http://" + address + "/metrics")
	require.NoError(h, err)
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			n, err := strconv.ParseFloat(value, 64)
			require.NoError(h, err)
			return uint64(n)
		}
	}
	require.Fail(h, "no metric "+name)
	return 0
}

// canTrace tells whether there is a program that counts the syncs of a process that does not.
func canTrace() bool {
	_, err := exec.LookPath("strace")
	return err == nil
}

// isTraced tells whether every thread of a process has a tracer.
func isTraced(h *host, pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	require.NoError(h, err)
	for _, thread := range threads {
		status, err := os.ReadFile(thread)
		if err == nil && bytes.Contains(status, []byte("TracerPid:\t0\n")) { // or the thread has ended
			return false
		}
	}
	return true
}

// countSyncs counts the syncs of processes while f runs, which slows them down.
func countSyncs(h *host, pids []int, f func()) int {
	var traces []*exec.Cmd
	var files []string
	for _, pid := range pids {
		file := h.TempDir() + "/syncs"
		trace := exec.Command("strace", "-f", "-qq", "-e", "trace=fsync,fdatasync,msync", "-o", file, "-p", strconv.Itoa(pid))
		require.NoError(h, trace.Start())
		h.Cleanup(func() { _ = trace.Process.Kill() }) // it may have ended
		traces, files = append(traces, trace), append(files, file)
	}
	for _, pid := range pids {
		require.Eventually(h, func() bool { return isTraced(h, pid) }, patience, 5*time.Millisecond, "strace does not attach")
	}
	f()
	syncs := 0
	for i, trace := range traces {
		_ = trace.Process.Signal(os.Interrupt)
		_ = trace.Wait() // it ends by the signal
		text, err := os.ReadFile(files[i])
		require.NoError(h, err)
		// A call that others interrupt has two lines, of which one says "resumed".
		syncs += bytes.Count(text, []byte("sync(")) // the first of them, or the only one
	}
	return syncs
}
