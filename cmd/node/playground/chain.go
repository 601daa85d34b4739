package playground

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/rpcclient"

	"stormcell/cmd/node/fault"
)

const (
	// btcdUser logs in at btcd, with a password of each run.
	btcdUser = "playground"
	// usable is the height from which segregated witness is in force, and the first block's coins can be spent.
	usable = 432
	// burst is how many blocks are mined when a transaction waits: enough for a channel to open.
	burst = 6
)

// chain is a btcd with a chain of its own.
type chain struct {
	process
	dir, address, password string
	client                 *rpcclient.Client
	blocks                 blocks
	arrived                chan struct{} // has one when btcd has got a transaction since it was looked at last
	failed                 chan error    // mining does not work any more
	mined                  chan struct{} // closed when mining has ended
	stopMining             context.CancelFunc
}

// findBtcd is where btcd is: beside this program, or on the path.
func (p *playground) findBtcd() (string, error) {
	beside := filepath.Join(filepath.Dir(p.program), "btcd")
	if _, err := os.Stat(beside); err == nil {
		return beside, nil
	}
	found, err := exec.LookPath("btcd")
	if err != nil {
		return "", fault.New(fault.Failed, fmt.Errorf("the playground needs btcd: %w", err),
			"'make run' builds it; otherwise put it on the path, or beside %s.", p.program)
	}
	return found, nil
}

// startChain starts btcd, gives it the blocks that there were before, and mines from then on.
func (p *playground) startChain(ctx context.Context) error {
	program, err := p.findBtcd()
	if err != nil {
		return err
	}
	p.say("Starting btcd, with a chain of its own, in %s.", shorten(p.o.Dir))
	c := &chain{
		process: process{name: "btcd"}, dir: filepath.Join(p.o.Dir, "btcd"), password: rand.Text(),
		blocks: blocks{path: filepath.Join(p.o.Dir, "blocks")}, arrived: make(chan struct{}, 1), failed: make(chan error, 1),
	}
	if err := c.configure(); err != nil {
		return err
	}
	defer leaveHomeAlone()()
	if err := c.launch(p.lock, program, "--configfile="+c.file("btcd.conf")); err != nil {
		return err
	}
	p.chain = c
	if err := p.until(ctx, &c.process, func() bool { return c.dial() == nil }); err != nil {
		return err
	}
	known, err := c.blocks.restore(c.client)
	if err != nil {
		return err
	}
	// A new block besides those from before: wallets wait for a chain that is not hours old.
	if err := c.mine(max(1, usable-known)); err != nil {
		return err
	}
	p.say("There are %d blocks.\n", max(known+1, usable))
	mining, stop := context.WithCancel(ctx)
	c.stopMining, c.mined = stop, make(chan struct{})
	go func() {
		defer close(c.mined)
		if err := c.mineOnDemand(mining); err != nil && mining.Err() == nil {
			c.failed <- err
		}
	}()
	return nil
}

func (c *chain) file(name string) string { return filepath.Join(c.dir, name) }

// configure writes btcd's configuration file.
func (c *chain) configure() error {
	var err error
	if c.address, err = freeAddress(""); err != nil {
		return err
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(c.file("btcd.conf"), []byte(strings.Join([]string{
		"[Application Options]", "regtest=1", "nolisten=1", "nodnsseed=1", "datadir=" + c.file("data"), "logdir=" + c.file("logs"),
		"rpclisten=" + c.address, "rpcuser=" + btcdUser, "rpcpass=" + c.password, "rpccert=" + c.file("rpc.cert"),
		"rpckey=" + c.file("rpc.key"), "miningaddr=" + nobody().EncodeAddress(), "",
	}, "\n")), 0o600)
}

// leaveHomeAlone gives what removes the empty folder that btcd makes in the home directory, whatever it is told.
func leaveHomeAlone() func() {
	self, err := user.Current()
	if err != nil {
		return func() {}
	}
	folder := filepath.Join(self.HomeDir, ".btcd")
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		return func() {}
	}
	return func() { _ = os.Remove(folder) }
}

// settings is how a daemon finds btcd.
func (c *chain) settings() btcdSettings {
	return btcdSettings{Host: c.address, User: btcdUser, Password: c.password, Certificate: c.file("rpc.cert")}
}

// dial connects to btcd.
func (c *chain) dial() error {
	certificate, err := os.ReadFile(c.file("rpc.cert")) // which btcd makes at its first start
	if err != nil {
		return err
	}
	client, err := rpcclient.New(&rpcclient.ConnConfig{
		Host: c.address, User: btcdUser, Pass: c.password, Certificates: certificate, Endpoint: "ws", DisableAutoReconnect: true,
	}, &rpcclient.NotificationHandlers{OnTxAccepted: func(*chainhash.Hash, btcutil.Amount) {
		select {
		case c.arrived <- struct{}{}:
		default:
		}
	}})
	if err != nil {
		return err
	}
	if err := client.NotifyNewTransactions(false); err != nil {
		client.Shutdown()
		return err
	}
	c.client = client
	return nil
}

// mine mines blocks, and writes them down.
func (c *chain) mine(count int64) error {
	if _, err := c.client.Generate(uint32(count)); err != nil {
		return fmt.Errorf("mine: %w", err)
	}
	return c.blocks.save(c.client)
}

// mineOnDemand mines whenever transactions wait, but not for those that do not get into a block.
func (c *chain) mineOnDemand(ctx context.Context) error {
	stuck := map[chainhash.Hash]bool{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.arrived:
		}
		waiting, err := c.client.GetRawMempool()
		if err != nil {
			return fmt.Errorf("look for transactions: %w", err)
		}
		fresh := false
		for _, tx := range waiting {
			fresh = fresh || !stuck[*tx]
			stuck[*tx] = true
		}
		if !fresh {
			continue
		}
		if err := c.mine(burst); err != nil {
			return err
		}
	}
}

// stop writes the last blocks down and stops btcd.
func (c *chain) stop() error {
	var err error
	if c.stopMining != nil {
		c.stopMining()
		<-c.mined
		err = c.blocks.save(c.client)
	}
	if c.client != nil {
		c.client.Shutdown()
	}
	c.askToStop()
	return errors.Join(err, c.awaitStop())
}
