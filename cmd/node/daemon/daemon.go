// Package daemon is the node as a process: what starts in which order, and how it stops.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"syscall"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"stormcell/actors/durable"
	"stormcell/actors/node"
	"stormcell/chain/keys"
	"stormcell/chain/wallet"
	"stormcell/cmd/node/config"
	"stormcell/cmd/node/fault"
	"stormcell/cmd/node/levels"
	"stormcell/cmd/node/rpc"
	"stormcell/cmd/node/version"
	"stormcell/persistence"
)

// How long stopping may take, all together: after stopLimit nothing is waited for that can be told so, after hardLimit nothing at
// all. callLimit is what calls under way get of it.
const (
	hardLimit = 5 * time.Second
	stopLimit = 4500 * time.Millisecond
	callLimit = time.Second
)

// daemon is a running process.
type daemon struct {
	config  config.Daemon
	started time.Time
	log     *slog.Logger
	journal *persistence.Badger
	server  *rpc.Server
	metrics *metrics
	health  *health
	profile *http.Server // nil if nobody asks
	chain   *chain       // nil until unlocked
	node    *node.Node   // likewise

	unlocked chan wallet.Seed
	failed   chan error // something that the daemon cannot be without has ended
}

// Run runs the daemon until the context ends or a client stops it. Then it returns within hardLimit, whatever hangs: the process
// may be killed at any moment, and so may end at any. Its errors are faults.
func Run(ctx context.Context, c config.Daemon, stderr *os.File) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, stop, c, stderr) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(hardLimit):
		return fault.New(fault.Failed, fmt.Errorf("not stopped within %s, not waited for any longer", hardLimit),
			"What was acknowledged is in the journal, and the next start goes on from there.")
	}
}

// run is Run without a limit. It calls stop when it begins to stop.
func run(ctx context.Context, stop func(), c config.Daemon, stderr *os.File) (err error) {
	if err := claim(c.Common); err != nil {
		return err
	}
	log, closeLog := newLog(c, stderr)
	defer closeLog()
	d := &daemon{config: c, started: time.Now(), log: log, metrics: newMetrics(), unlocked: make(chan wallet.Seed, 1),
		failed: make(chan error, 4)}
	if d.journal, err = openJournal(c, log, d.metrics.synced); err != nil {
		return err
	}
	defer func() {
		stop()
		if stopped := d.close(); err == nil {
			err = stopped
		}
	}()
	log.Info("starting", "version", version.Number, "commit", version.Commit(), "network", c.Network.String(), "datadir", c.Dir,
		"pid", os.Getpid())

	if err := d.listen(stop); err != nil {
		return err
	}
	d.invite()
	return d.watch(ctx)
}

// listen opens the doors that need no keys.
func (d *daemon) listen(stop func()) error {
	if err := tryListen(d.config.Listen); err != nil {
		return fault.New(fault.Failed, fmt.Errorf("listen for peers: %w", err),
			"Is another node running? Choose another address with --listen.")
	}
	var err error
	d.server, err = rpc.New(rpc.Options{
		Listen: d.config.RPCListen, RESTListen: d.config.RESTListen,
		Names: rpc.Names{Domains: d.config.TLSDomains, IPs: d.config.TLSIPs},
		Dir:   d.config.Dir, Network: d.config.Network, Levels: d.config.LogLevels,
		Log:      d.log.With(node.SubsystemKey, levels.API),
		Unlocked: func(s wallet.Seed) { d.unlocked <- s },
		Stop:     stop,
	})
	if err != nil {
		return fault.New(fault.Failed, err, "%s", adviceOnDoors(err))
	}
	d.metrics.add(d.server.Collectors()...)
	d.metrics.add(journalMetrics(d.journal)...)
	d.health = &health{journal: d.journal, hasWallet: d.server.HasWallet}
	if err := d.metrics.serve(d.config.MetricsListen, d.health, d.log, d.fail); err != nil {
		return fault.New(fault.Failed, err, "Choose another address with --metricslisten.")
	}
	if d.profile, err = serveProfile(d.config.ProfileListen, d.log, d.fail); err != nil {
		return fault.New(fault.Failed, err, "Choose another address with --pprof.")
	}
	go func() {
		if err := d.server.Serve(); err != nil {
			d.fail(fmt.Errorf("the API has failed: %w", err))
		}
	}()
	return writeAddress(d.config.Common, d.server.Addr())
}

func adviceOnDoors(err error) string {
	switch {
	case errors.Is(err, rpc.ErrOperatorsTLS):
		return "Mend tls.cert and tls.key, or remove both: then new ones are made."
	case errors.Is(err, syscall.EADDRINUSE):
		return "If another daemon has this address, choose another with --rpclisten or --restlisten."
	default:
		return "Check --rpclisten, --restlisten and the data directory."
	}
}

// invite says what to do next.
func (d *daemon) invite() {
	next := "stormcell unlock"
	if !d.server.HasWallet() {
		next = "stormcell create"
	}
	notify(d.log, sd.SdNotifyReady)
	rest := "none"
	if at := d.server.RESTAddr(); at != nil {
		rest = at.String()
	}
	d.log.Info("waiting for the wallet to be unlocked", "rpc", d.server.Addr().String(), "rest", rest, "run", next)
}

// watch starts the node when its seed is known, and returns when the daemon is to stop, with the reason if that is a failure.
func (d *daemon) watch(ctx context.Context) error {
	unlocked, dead := d.unlocked, (<-chan struct{})(nil)
	for {
		select {
		case s := <-unlocked:
			if err := d.start(ctx, s); err != nil && ctx.Err() != nil {
				d.log.Info("stopping before the node has started", "error", err)
				return nil
			} else if err != nil {
				return err
			}
			unlocked, dead = nil, d.node.Kernel.Dead()
		case <-dead:
			return journalFailed(d.node.Kernel.Err())
		case err := <-d.failed:
			return err
		case <-ctx.Done():
			d.log.Info("stopping")
			return nil
		}
	}
}

// start starts the node.
func (d *daemon) start(ctx context.Context, s wallet.Seed) error {
	master, err := s.Master(d.config.Network)
	if err != nil {
		return err
	}
	signer, err := keys.NewLocalSigner(master, keys.CoinType(d.config.Network.Params()), durable.Wall{}.Parallel)
	if err != nil {
		return err
	}
	if d.chain, err = openChain(d.config, s, d.log); err != nil {
		return err
	}
	d.node, err = node.Start(ctx, node.Options{
		Journal: d.journal, Doubt: d.journal.Doubt().Number, Signer: signer,
		Network: d.config.Network.Params(), Listen: d.config.Listen, Log: d.log,
		Backend: d.chain.backend, Wallet: d.chain.wallet, FallbackFeeRate: d.config.Chain.FallbackFeeRate,
		AcceptKeysend: d.config.AcceptKeysend, MaxCommitFeeRate: d.config.Channels.MaxCommitFeeRate,
		Pending: d.config.Channels.Pending,
	})
	if err != nil {
		if errors.Is(err, persistence.ErrClosed) {
			return journalFailed(err)
		}
		return fault.New(fault.Failed, err, "The log says more.")
	}
	d.chain.connect(d.node, d.fail)
	d.metrics.add(d.node.Collectors()...)
	d.metrics.add(books{d.node, d.log})
	d.health.node.Store(d.node)
	d.server.Activate(rpc.Node{
		Key: signer.NodeKey(), SignMessage: signer.SignMessage, PeerAddr: d.node.PeerAddr(), Features: node.Features(), Peers: d.node.Peers,
		Channels: d.node.Channels(), Wallet: d.node.Wallet(), Chain: d.node, Invoices: d.node.Invoices(),
		Payments: d.node.Payments(), Actors: d.node.Kernel, Journal: d.journal, ChainSource: d.config.Chain.String(),
		Started: d.started,
	})
	d.log.Info("running", "node", fmt.Sprintf("%x", signer.NodeKey().SerializeCompressed()), "listen", d.node.PeerAddr().String())
	return nil
}

// fail ends the daemon.
func (d *daemon) fail(err error) {
	select {
	case d.failed <- err:
	default: // it ends already
	}
}

// close stops everything that has started, the last first, and says what did not stop well.
func (d *daemon) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	began := time.Now()
	notify(d.log, sd.SdNotifyStopping)
	if d.health != nil {
		d.health.stopping.Store(true)
	}
	var err error
	if d.server != nil {
		removeAddress(d.config.Common)
		calls, cancel := context.WithTimeout(ctx, callLimit)
		d.server.Stop(calls)
		cancel()
	}
	if d.node != nil {
		err = errors.Join(err, d.node.Stop(ctx))
	}
	if d.chain != nil {
		err = errors.Join(err, d.chain.close(ctx))
	}
	d.metrics.close()
	if d.profile != nil {
		_ = d.profile.Close()
	}
	err = errors.Join(err, d.journal.Close())
	if err != nil {
		d.log.Error("stopped badly", "error", err)
		return fault.New(fault.Failed, fmt.Errorf("stop: %w", err), "What was acknowledged is in the journal.")
	}
	d.log.Info("stopped", "took", time.Since(began).Round(time.Millisecond))
	return nil
}
