package wallet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/wire"
	"github.com/btcsuite/btcwallet/chain"
	"github.com/btcsuite/btcwallet/snacl"
	"github.com/btcsuite/btcwallet/waddrmgr"
	btcwallet "github.com/btcsuite/btcwallet/wallet"
	_ "github.com/btcsuite/btcwallet/walletdb/bdb" // the database of the cache

	"stormcell/chain/backend"
)

// ErrForeignCache says that the cache in a directory was made from another seed.
var ErrForeignCache = errors.New("the wallet's cache belongs to another seed")

const (
	// recoveryWindow is how many unused addresses in a row end the search for used ones.
	recoveryWindow = 250

	// cacheTimeout is how long Open waits for another process to let go of the cache.
	cacheTimeout = 10 * time.Second

	// account is the one account that is used of every kind of address.
	account = waddrmgr.DefaultAccountNum
)

// publicPassphrase encrypts what the cache holds of public keys: it keeps nothing secret.
var publicPassphrase = []byte(btcwallet.InsecurePubPassphrase)

// quickKeys lets btcwallet not stretch its passphrases: one is no secret and the other has 256 bits of its own, so that it would
// only cost seconds at every start.
var quickKeys = sync.OnceFunc(func() {
	waddrmgr.SetSecretKeyGen(func(passphrase *[]byte, _ *waddrmgr.ScryptOptions) (*snacl.SecretKey, error) {
		quick := waddrmgr.FastScryptOptions
		return snacl.NewSecretKey(passphrase, quick.N, quick.R, quick.P)
	})
})

// Source is a backend that wallets can follow. All of ours are.
type Source interface {
	backend.Backend
	WalletChain() (chain.Interface, error)
}

// Config says what the wallet is made of.
type Config struct {
	Network backend.Network
	Seed    Seed
	Dir     string // of the cache; it can be deleted while the wallet is closed
}

// Wallet finds the seed's coins on the chain and signs for them. It is safe for concurrent use.
type Wallet struct {
	config Config
	loader *btcwallet.Loader
	btc    *btcwallet.Wallet

	mu     sync.Mutex // addresses are derived one after the other
	source Source     // nil until Follow
}

// Open opens the cache, or makes it. The wallet does not look at the chain before Follow. A cache of another seed is
// ErrForeignCache.
func Open(config Config) (*Wallet, error) {
	quickKeys()
	w := &Wallet{
		config: config,
		loader: btcwallet.NewLoader(config.Network.Params(), config.Dir, true, cacheTimeout, recoveryWindow),
	}
	if err := w.open(); err != nil {
		return nil, fmt.Errorf("open the wallet's cache in %s: %w", config.Dir, err)
	}
	return w, nil
}

func (w *Wallet) open() error {
	exists, err := w.loader.WalletExists()
	if err != nil {
		return err
	}
	secret := w.config.Seed.cachePassphrase()
	if exists {
		w.btc, err = w.loader.OpenExistingWallet(publicPassphrase, false)
	} else {
		master, masterErr := w.config.Seed.Master(w.config.Network)
		if masterErr != nil {
			return masterErr
		}
		w.btc, err = w.loader.CreateNewWalletExtendedKey(publicPassphrase, secret, master, w.config.Seed.Birthday())
	}
	if err != nil {
		return err
	}
	if err := w.btc.Unlock(secret, nil); err != nil {
		if waddrmgr.IsError(err, waddrmgr.ErrWrongPassphrase) {
			err = ErrForeignCache
		}
		return errors.Join(err, w.loader.UnloadWallet())
	}
	return nil
}

// Follow begins to follow the chain, from where the cache ends or from the seed's birthday. It may be called once.
func (w *Wallet) Follow(ctx context.Context, source Source) error {
	client, err := source.WalletChain()
	if err != nil {
		return fmt.Errorf("let the wallet follow the chain: %w", err)
	}
	if err := client.Start(ctx); err != nil {
		return fmt.Errorf("let the wallet follow the chain: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.source = source
	w.btc.SynchronizeRPC(client)
	return nil
}

// SyncedTo is the block up to which the wallet has seen the chain, and whether that was the tip when it last looked.
func (w *Wallet) SyncedTo() (backend.BlockRef, bool) {
	at := w.btc.SyncedTo()
	return backend.BlockRef{Height: uint32(at.Height), Hash: at.Hash}, w.btc.ChainSynced()
}

// Coins are the wallet's unspent outputs, also those that Select would not take yet. Those that a transaction spends which is
// in no block yet are not among them.
func (w *Wallet) Coins() ([]Coin, error) {
	outputs, err := w.btc.UnspentOutputs(btcwallet.OutputSelectionPolicy{Account: account})
	if err != nil {
		return nil, fmt.Errorf("list the wallet's coins: %w", err)
	}
	coins := make([]Coin, 0, len(outputs))
	for _, o := range outputs {
		coin := Coin{
			OutPoint: o.OutPoint, Amount: btcutil.Amount(o.Output.Value), Script: o.Output.PkScript,
			Coinbase: o.OutputKind == btcwallet.OutputKindCoinbase,
		}
		if o.ContainingBlock.Height > 0 { // -1: in none
			coin.Height = uint32(o.ContainingBlock.Height)
		}
		coins = append(coins, coin)
	}
	return coins, nil
}

// Publish hands a transaction to the network, and if it is taken notes that it spends the wallet's coins. The label is kept
// with it. Follow has to come first.
func (w *Wallet) Publish(ctx context.Context, tx *wire.MsgTx, label string) (backend.PublishResult, error) {
	w.mu.Lock()
	source := w.source
	w.mu.Unlock()
	if source == nil {
		return backend.PublishResult{}, errors.New("publish: the wallet does not follow the chain yet")
	}
	result, err := source.Publish(ctx, tx)
	if err != nil || !result.Ok() {
		return result, err
	}
	if err := w.Label(tx.TxHash(), label); err != nil {
		return result, err
	}
	return result, w.Note(tx)
}

// Close ends following the chain and closes the cache. The source goes on.
func (w *Wallet) Close() error {
	if err := w.loader.UnloadWallet(); err != nil {
		return fmt.Errorf("close the wallet's cache: %w", err)
	}
	return nil
}

// Params are the rules and constants of the wallet's network. They are shared: nobody may change them.
func (w *Wallet) Params() *chaincfg.Params { return w.config.Network.Params() }
