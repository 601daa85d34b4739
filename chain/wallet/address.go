package wallet

import (
	"fmt"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcwallet/chain"
	"github.com/btcsuite/btcwallet/waddrmgr"
	"github.com/btcsuite/btcwallet/walletdb"
)

// Branch is one of the rows of addresses that the seed gives. Their coin is 0 on every network, as btcwallet and lnd have it.
type Branch uint8

const (
	ReceiveWitness Branch = iota + 1 // m/84'/0'/0'/0/index, pay to witness pubkey hash
	ChangeWitness                    // m/84'/0'/0'/1/index
	ReceiveTaproot                   // m/86'/0'/0'/0/index, pay to taproot
	ChangeTaproot                    // m/86'/0'/0'/1/index
)

// Branches are all there are.
func Branches() []Branch {
	return []Branch{ReceiveWitness, ChangeWitness, ReceiveTaproot, ChangeTaproot}
}

func (b Branch) scope() waddrmgr.KeyScope {
	if b == ReceiveTaproot || b == ChangeTaproot {
		return waddrmgr.KeyScopeBIP0086
	}
	return waddrmgr.KeyScopeBIP0084
}

func (b Branch) change() bool { return b == ChangeWitness || b == ChangeTaproot }

// notifyPatience is how long a chain's server may take to hear of an address.
const notifyPatience = 2 * time.Second

// addressBucket is where btcwallet keeps its addresses.
var addressBucket = []byte("waddrmgr")

// Address gives the address at an index of a branch, and looks for payments to it and to all below it from now on. Which
// indexes were given out is for the caller to keep; after a restart it says so by asking for the last of each branch, before
// Follow.
func (w *Wallet) Address(branch Branch, index uint32) (btcutil.Address, error) {
	address, err := w.derive(branch, index)
	if err != nil {
		return nil, fmt.Errorf("derive address %d of branch %d: %w", index, branch, err)
	}
	return address, nil
}

func (w *Wallet) derive(branch Branch, index uint32) (btcutil.Address, error) {
	manager, err := w.btc.AddrManager().FetchScopedKeyManager(branch.scope())
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	from, err := w.known(branch)
	if err != nil {
		return nil, err
	}
	var fresh []btcutil.Address
	var wanted btcutil.Address
	err = walletdb.Update(w.btc.Database(), func(tx walletdb.ReadWriteTx) error {
		bucket := tx.ReadWriteBucket(addressBucket)
		extend := manager.ExtendExternalAddresses
		path := waddrmgr.DerivationPath{InternalAccount: account, Account: account}
		if branch.change() {
			extend = manager.ExtendInternalAddresses
			path.Branch = waddrmgr.InternalBranch
		}
		if err := extend(bucket, account, index); err != nil {
			return err
		}
		for path.Index = min(from, index); path.Index <= index; path.Index++ {
			managed, err := manager.DeriveFromKeyPath(bucket, path)
			if err != nil {
				return err
			}
			wanted = managed.Address()
			fresh = append(fresh, wanted)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if client := w.btc.ChainClient(); client != nil && from <= index {
		return wanted, notify(client, fresh)
	}
	return wanted, nil
}

// notify asks the chain's server for payments to addresses. One that is away lets the call wait: when it is back btcwallet asks
// it for all addresses, so that nobody has to wait for that.
func notify(client chain.Interface, addresses []btcutil.Address) error {
	asked := make(chan error, 1)
	go func() { asked <- client.NotifyReceived(addresses) }()
	patience := time.NewTimer(notifyPatience)
	defer patience.Stop()
	select {
	case err := <-asked:
		return err
	case <-patience.C:
		return nil
	}
}

// Known is how many addresses of a branch the wallet looks for. After a restore from the words these are those that were ever
// paid, so an index from here on was not.
func (w *Wallet) Known(branch Branch) (uint32, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.known(branch)
}

func (w *Wallet) known(branch Branch) (uint32, error) {
	properties, err := w.btc.AccountProperties(branch.scope(), account)
	if err != nil {
		return 0, fmt.Errorf("count the addresses of branch %d: %w", branch, err)
	}
	if branch.change() {
		return properties.InternalKeyCount, nil
	}
	return properties.ExternalKeyCount, nil
}
