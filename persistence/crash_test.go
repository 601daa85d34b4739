package persistence

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	badger "github.com/dgraph-io/badger/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"stormcell/messages/journal"
)

// The crash tests let a child process write to a journal until it is killed, or its disk is copied, and then look at what is
// there. Each commit writes an event, a letter and a column, of which there must be all or none.

const (
	childDir    = "JOURNAL_CHILD_DIR"
	childNoSync = "JOURNAL_CHILD_NO_SYNC"

	crashWriters = 4
	crashBody    = 3000
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := writeUntilKilled(dir, os.Getenv(childNoSync) != ""); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func crashWriter(w int) Address { return Address(fmt.Sprintf("writer/%d", w)) }
func crashSink(w int) Address   { return Address(fmt.Sprintf("sink/%d", w)) }
func crashColumn(w int) string  { return fmt.Sprintf("column/%d/", w) }

// crashPayload begins with the number of the commit, and has one of several lengths.
func crashPayload(n uint64) []byte {
	b := binary.BigEndian.AppendUint64(nil, n)
	return append(b, bytes.Repeat([]byte{byte(n)}, int(n*7919%crashBody))...)
}

// acknowledged is what the child says on its output: commit number N of a writer is durable.
type acknowledged struct {
	Writer uint32
	N      uint64
}

// writeUntilKilled is the child: it goes on where the journal ends.
func writeUntilKilled(dir string, noSync bool) error {
	o := testOptions(dir)
	if noSync {
		o.hooks.sync = func(*badger.DB) error { return nil }
	}
	j, err := Open(o)
	if err != nil {
		return err
	}
	p := newProgress()
	j.Start(p)
	var wg sync.WaitGroup
	for w := range crashWriters {
		s, err := j.Read(crashWriter(w))
		if err != nil {
			return err
		}
		wg.Go(func() { writeForEver(j, p, &actor{addr: crashWriter(w), head: s.Head}, w) })
	}
	wg.Wait()
	return p.failed[0]
}

// writeForEver submits commits, some of them patient, and says when they are durable. It returns when the journal fails.
func writeForEver(j *Badger, p *progress, a *actor, w int) {
	for {
		n := a.head.GetLastEvent() + 1
		payload := string(crashPayload(n))
		lsn, err := j.Submit(a.step(func(h *journal.Head, c *Commit) {
			c.Events, h.LastEvent = append(c.Events, rec(payload)), n
			c.Send = []Letter{{To: crashSink(w), Body: rec(payload)}}
			c.Columns = []Column{{Key: fmt.Sprintf("%s%08d", crashColumn(w), n), Value: recp(payload)}}
			c.Patient = n%3 != 0
		}))
		if err == nil && n%3 != 0 {
			continue
		}
		if err != nil || p.wait(lsn) != nil {
			return
		}
		if err := binary.Write(os.Stdout, binary.BigEndian, acknowledged{uint32(w), n}); err != nil {
			return
		}
	}
}

// child is a running writer.
type child struct {
	cmd    *exec.Cmd
	out    *os.File
	errors *bytes.Buffer
	acked  *[crashWriters]uint64
}

func startChild(t *testing.T, dir string, acked *[crashWriters]uint64, env ...string) *child {
	t.Helper()
	out, in, err := os.Pipe()
	require.NoError(t, err)
	c := &child{cmd: exec.Command(os.Args[0]), out: out, errors: &bytes.Buffer{}, acked: acked}
	c.cmd.Env = append(append(os.Environ(), childDir+"="+dir), env...)
	c.cmd.Stdout, c.cmd.Stderr = in, c.errors
	require.NoError(t, c.cmd.Start())
	require.NoError(t, in.Close())
	t.Cleanup(c.kill)
	return c
}

// read takes so many acknowledgements; -1 takes all there are.
func (c *child) read(count int) error {
	for ; count != 0; count-- {
		var a acknowledged
		if err := binary.Read(c.out, binary.BigEndian, &a); err != nil {
			if count < 0 && (errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded)) {
				return nil
			}
			return err
		}
		c.acked[a.Writer] = max(c.acked[a.Writer], a.N)
	}
	return nil
}

// await lets the child go on, takes so many acknowledgements, and then lets a random moment pass.
func (c *child) await(t *testing.T, count int) {
	t.Helper()
	require.NoError(t, c.cmd.Process.Signal(syscall.SIGCONT))
	if err := c.read(count); err != nil {
		c.kill()
		require.NoError(t, err, "child: %s", c.errors)
	}
	for until := time.Now().Add(time.Duration(rand.Int64N(int64(2 * time.Millisecond)))); time.Now().Before(until); {
	}
}

// kill ends the child without warning, and takes what it acknowledged before.
func (c *child) kill() {
	if c.cmd.ProcessState != nil {
		return
	}
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
	_ = c.read(-1)
	_ = c.out.Close()
}

// checkCrashed opens the journal and looks for what was acknowledged, and for halves of commits.
func checkCrashed(o Options, acked *[crashWriters]uint64) (err error) {
	j, err := Open(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	for w := range crashWriters {
		writer, err := j.Read(crashWriter(w))
		if err != nil {
			return err
		}
		sink, err := j.Read(crashSink(w))
		if err != nil {
			return err
		}
		columns, err := j.Columns(Page{Prefix: crashColumn(w), Limit: 1 << 30})
		if err != nil {
			return err
		}
		stored := len(writer.Events)
		if uint64(stored) < acked[w] {
			return fmt.Errorf("writer %d: %d commits are there, %d were acknowledged", w, stored, acked[w])
		}
		if len(sink.Inbox) != stored || len(columns) != stored {
			return fmt.Errorf("writer %d: %d events, %d letters, %d columns", w, stored, len(sink.Inbox), len(columns))
		}
		for i := range stored {
			want := crashPayload(uint64(i + 1))
			if !bytes.Equal(writer.Events[i].Body, want) || !bytes.Equal(sink.Inbox[i].Body.Body, want) ||
				!bytes.Equal(columns[i].Value.Body, want) {
				return fmt.Errorf("writer %d: commit %d is not what was written", w, i+1)
			}
		}
	}
	return nil
}

func TestKilledWriterLosesNothing(t *testing.T) {
	t.Parallel()
	const rounds = 100
	dir := t.TempDir()
	var acked [crashWriters]uint64
	for round := range rounds {
		c := startChild(t, dir, &acked)
		c.await(t, rand.IntN(30))
		c.kill()
		require.Empty(t, c.errors.String())
		if round%3 == 0 || round == rounds-1 { // else the next child recovers
			require.NoError(t, checkCrashed(testOptions(dir), &acked), "round %d", round)
		}
	}
	b := openBadger(t, testOptions(dir))
	require.Greater(t, b.Last(), LSN(1000))
	require.NoError(t, b.Close())
}

// Dirty pages survive a kill, but not a power cut. Here the journal lies on a device of its own, which is copied while the
// writer is stopped: what it had not synced is not in the copy.
func TestPowerCutLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	var acked [crashWriters]uint64
	c := startChild(t, disk.dir, &acked)
	cutPower := func(round int) {
		require.NoError(t, disk.cutPower(c, func(dir string) error {
			return checkCrashed(testOptions(dir), c.acked)
		}), "round %d", round)
	}
	for round := range 35 {
		c.await(t, 30+rand.IntN(150))
		cutPower(round)
	}
	c.kill()
	b := openBadger(t, testOptions(disk.dir))
	require.GreaterOrEqual(t, b.spans.number, uint64(4), "two write-ahead logs should have ended by now")
	require.NoError(t, b.Close())
	for round := range 15 { // what the killed one had not synced is before what the next one acknowledges
		c = startChild(t, disk.dir, &acked)
		c.await(t, 1+rand.IntN(20))
		cutPower(35 + round)
		c.kill()
	}
}

// The test above can fail: a journal that does not sync loses what it acknowledged.
func TestPowerCutWithoutSyncLosesCommits(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	var acked [crashWriters]uint64
	c := startChild(t, disk.dir, &acked, childNoSync+"=1")
	lost := 0
	for range 5 {
		c.await(t, 200)
		if err := disk.cutPower(c, func(dir string) error { return checkCrashed(testOptions(dir), c.acked) }); err != nil {
			lost++
		}
	}
	c.kill()
	require.Positive(t, lost, "five power cuts without a sync lost nothing: the test does not see what it should")
}

// What a journal finds when it opens counts as durable, so it must be, although a killed process had not synced it.
func TestWhatAJournalOpensWithIsDurable(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	for range 5 {
		var acked [crashWriters]uint64
		c := startChild(t, disk.dir, &acked, childNoSync+"=1")
		c.await(t, 500)
		c.kill()
		b := openBadger(t, testOptions(disk.dir))
		require.NoError(t, disk.checkCopy(func(dir string) error {
			copied, err := Open(testOptions(dir))
			if err == nil && copied.Last() != b.Last() {
				err = fmt.Errorf("the log ended at commit %d, the copy ends at %d", b.Last(), copied.Last())
			}
			return errors.Join(err, copied.Close())
		}))
		require.NoError(t, b.Close())
	}
}

// disk is a file system of its own in a file.
type disk struct {
	t          *testing.T
	image, dir string
	scratch    string
}

// newDisk skips the test where a file system cannot be mounted. What stands in is TestEveryAcknowledgementFollowsASync.
func newDisk(t *testing.T) *disk {
	t.Helper()
	d := &disk{t: t, scratch: t.TempDir()}
	d.image, d.dir = d.scratch+"/image", d.scratch+"/mounted"
	require.NoError(t, os.Mkdir(d.dir, 0o700))
	require.NoError(t, os.WriteFile(d.image, nil, 0o600))
	require.NoError(t, os.Truncate(d.image, 512<<20))
	err := command("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", d.image)
	if err == nil {
		err = command("mount", "-o", "loop", d.image, d.dir)
	}
	if err != nil {
		fmt.Printf("NO POWER CUTS: %s needs a mounted file system, which is not allowed here (%v). "+
			"Only the count of syncs per batch is tested.\n", t.Name(), err)
		t.Skipf("cannot mount: %v", err)
	}
	t.Cleanup(func() { d.unmount(d.dir) })
	return d
}

// unmount may have to wait: a process that another test is just starting holds all open files until it runs its own program.
func (d *disk) unmount(dir string) {
	free := func() bool { return command("umount", dir) == nil }
	if !assert.Eventually(d.t, free, 20*time.Second, 20*time.Millisecond, "%s is in use; unmounted lazily", dir) {
		_ = command("umount", "-l", dir)
	}
}

// cutPower stops the child, copies the device, and checks what the copy holds.
func (d *disk) cutPower(c *child, check func(dir string) error) error {
	if err := stop(c.cmd.Process.Pid); err != nil {
		return err
	}
	if err := c.out.SetReadDeadline(time.Now()); err != nil {
		return err
	}
	if err := c.read(-1); err != nil {
		return err
	}
	if err := c.out.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	return d.checkCopy(check)
}

// checkCopy copies the device as it is, and checks what the copy holds.
func (d *disk) checkCopy(check func(dir string) error) error {
	image, dir := d.scratch+"/copy", d.scratch+"/checked"
	if err := command("cp", "--sparse=always", d.image, image); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := command("mount", "-o", "loop", image, dir); err != nil {
		return err
	}
	defer d.unmount(dir)
	return check(dir)
}

// stop returns when the process stands still.
func stop(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	for {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			return err
		}
		_, state, _ := strings.Cut(string(stat), ") ")
		if strings.HasPrefix(state, "T") {
			return nil
		}
	}
}

func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

func TestEveryAcknowledgementFollowsASync(t *testing.T) {
	t.Parallel()
	o := testOptions(t.TempDir())
	var mu sync.Mutex
	syncs := 0
	o.hooks.sync = func(db *badger.DB) error {
		mu.Lock()
		defer mu.Unlock()
		syncs++
		return db.Sync()
	}
	b := openBadger(t, o)
	before := syncs
	p := newProgress()
	b.Start(p)
	a := &actor{addr: "account/a"}
	for range 200 {
		require.NoError(t, p.wait(submit(t, b, a.events("x"))))
	}
	require.NoError(t, b.Close())
	require.GreaterOrEqual(t, syncs-before, len(p.durable))
}
