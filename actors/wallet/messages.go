package wallet

import (
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/btcutil/psbt"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"stormcell/actors/durable"
	"stormcell/chain/backend"
	"stormcell/chain/fees"
	chainwallet "stormcell/chain/wallet"
)

// Address is where the one wallet of a node lives.
const Address durable.Address = "wallet/main"

const (
	// fundingConfirmations are what coins need to fund a channel.
	fundingConfirmations = 1

	// changeBranch is where change goes.
	changeBranch = chainwallet.ChangeTaproot

	// maxOutputs bounds a payment.
	maxOutputs = 1000

	// maxLabel bounds the label of a payment, in bytes.
	maxLabel = 500
)

// Refusals; those of a Send can also be those of chainwallet.Select and chainwallet.Sweep.
var (
	// ErrUnknownBranch: there are no such addresses.
	ErrUnknownBranch = errors.New("the wallet has no such addresses")
	// ErrNotSynced: what can be spent is not known before the wallet has seen the whole chain once.
	ErrNotSynced = errors.New("the wallet has not caught up with the chain yet")
	// ErrInvalidPayment: a payment has no outputs or too many, or an amount that cannot be.
	ErrInvalidPayment = errors.New("this cannot be paid")
)

// RefusedError says that the network refused a transaction. It was given up, and its coins are free.
type RefusedError struct {
	TxID   chainhash.Hash
	Result backend.PublishResult
}

func (e RefusedError) Error() string {
	return fmt.Sprintf("the network refuses transaction %s: %s", e.TxID, e.Result)
}

// What the wallet can be asked. All is volatile: whoever asks can ask again.
type (
	// Open makes the wallet, once. The answer is nil.
	Open struct{}

	// NextAddress asks for an address that nobody was given before. The answer is an Index. Refused with ErrUnknownBranch.
	NextAddress struct{ Branch chainwallet.Branch }

	// Send asks to pay. The answer, the chainhash.Hash of the transaction or an error, comes when the network has taken it,
	// or when it could not be asked for some time; the transaction is published until it is confirmed. After a RefusedError
	// it is not. When the answer is lost in a restart, the transaction may or may not have been made: Transactions tell.
	Send struct {
		Payment chainwallet.Payment // without ChangeScript
		All     bool                // pay all coins to the one output, whose value is not looked at
		Label   string
	}

	// ListLeases asks what coins are set aside. The answer is a []Lease in the order in which they were.
	ListLeases struct{}
)

// Index is a place on a branch.
type Index struct {
	Branch chainwallet.Branch
	Index  uint32
}

// Lease is a coin that is set aside for a transaction.
type Lease struct {
	Coin   wire.OutPoint
	Amount btcutil.Amount
	// For is the channel that is funded; empty for a payment.
	For durable.Address
	// TxID is zero while the transaction is not signed.
	TxID chainhash.Hash
	// Published: the transaction is for the network.
	Published bool
}

// What the world reports. Each names the incarnation that it is for.
type (
	// Looked answers Look.
	Looked struct {
		Look
		Coins        []chainwallet.Coin
		Reserve      btcutil.Amount // what must stay in the wallet
		Tip          uint32         // height
		ChangeScript []byte
		Err          error // no coins could be looked at
	}

	// SignedTx answers Sign.
	SignedTx struct {
		Sign
		Tx  *wire.MsgTx // with all witnesses
		Err error       // why there is none
	}

	// Answered says what became of a transaction that was published: now, and whenever it is something else.
	Answered struct {
		TxID   chainhash.Hash
		Result backend.PublishResult
		Asker  durable.Asker
	}

	// Settled: one of a transaction's coins was spent, by it or by another, so deep in the chain that it stays so.
	Settled struct{ TxID chainhash.Hash }

	// Known says how many addresses of a branch may have been given out, as the chain shows.
	Known struct{ Next Index }
)

// What leaves the wallet.
type (
	// Attend tells the world which incarnation hears of the chain from now on, and which addresses were given out: those
	// below the indexes.
	Attend struct{ Given []Index }

	// Look asks for the coins, and for the script of an address for change. It is answered with Looked.
	Look struct {
		Draft  uint64
		Change Index
		Send   *Send // nil for a channel's funding
		Asker  durable.Asker
	}

	// Sign asks to sign all inputs of a draft. It is answered with SignedTx.
	Sign struct {
		Draft  uint64
		Packet *psbt.Packet
		// Change is where the change goes; nil if there is none.
		Change *Index
		Tip    uint32 // height at which it was made
		Label  string
		Asker  durable.Asker
	}

	// Publish asks to publish a transaction until Unpublish or Settled, and to watch its inputs.
	Publish struct {
		Tx     *wire.MsgTx
		Spends []*wire.TxOut // by the inputs, in their order
		Since  uint32        // height from which on it can be in a block
		Label  string
		Asker  durable.Asker
	}

	// Unpublish takes Publish back.
	Unpublish struct {
		TxID   chainhash.Hash
		Inputs int
	}
)

// lateAnswer is what a timer says: whoever asked for a payment has waited long enough for the network.
type lateAnswer struct {
	txid  chainhash.Hash
	asker durable.Asker
}

// SendRequest is a payment as Client.Send takes it.
type SendRequest struct {
	Outputs []*wire.TxOut
	// All pays all coins to the one output, whose value is not looked at.
	All bool
	// FeeRate is used if it is not zero; else one at which the transaction should confirm within Target blocks.
	FeeRate fees.SatPerKW
	Target  uint32
	// MinConfirmations are what a coin must have to be spent.
	MinConfirmations uint32
	Label            string
}
