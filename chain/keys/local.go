package keys

import (
	"errors"
	"fmt"
	"sync"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/input"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/shachain"

	"stormcell/chain/curve"
)

// ErrKeyMisused refuses a request for a signature that a key is not for.
var ErrKeyMisused = errors.New("this key does not sign that")

// LocalSigner is the Signer that holds the keys in this process.
type LocalSigner struct {
	tree     tree
	node     *btcec.PrivateKey
	parallel Parallel

	mu     sync.Mutex
	pairs  map[keychain.KeyLocator]keyPair
	roots  map[uint32]*shachain.RevocationProducer // by channel key index
	points map[uint32]*recentPoints
}

// recentPoints are a channel's per-commitment points that were asked for last, by the end of their number: an update of the
// channel needs two of them three times.
type recentPoints [4]struct {
	number uint64
	point  *btcec.PublicKey
}

// keyPair is a key of the tree. Deriving it takes twice as long as signing with it, so each is derived once.
type keyPair struct {
	private *btcec.PrivateKey
	public  *btcec.PublicKey
}

var _ Signer = (*LocalSigner)(nil)

// NewLocalSigner derives the node's keys from the master key of its seed, for the coin that CoinType gives. Many signatures
// at once are made through parallel.
func NewLocalSigner(master *hdkeychain.ExtendedKey, coinType uint32, parallel Parallel) (*LocalSigner, error) {
	tree, err := newTree(master, coinType)
	if err != nil {
		return nil, err
	}
	node, err := tree.private(keychain.KeyFamilyNodeKey, 0)
	if err != nil {
		return nil, err
	}
	return &LocalSigner{
		tree: tree, node: node, parallel: parallel,
		pairs: make(map[keychain.KeyLocator]keyPair), roots: make(map[uint32]*shachain.RevocationProducer),
		points: make(map[uint32]*recentPoints),
	}, nil
}

// pair gives a key of the tree.
func (s *LocalSigner) pair(family keychain.KeyFamily, index uint32) (keyPair, error) {
	locator := keychain.KeyLocator{Family: family, Index: index}
	s.mu.Lock()
	defer s.mu.Unlock()
	if pair, ok := s.pairs[locator]; ok {
		return pair, nil
	}
	private, err := s.tree.private(family, index)
	if err != nil {
		return keyPair{}, err
	}
	s.pairs[locator] = keyPair{private: private, public: private.PubKey()}
	return s.pairs[locator], nil
}

func (s *LocalSigner) NodeKey() *btcec.PublicKey { return s.node.PubKey() }

func (s *LocalSigner) Basepoints(channel uint32) (Basepoints, error) {
	var points Basepoints
	for _, base := range []struct {
		family keychain.KeyFamily
		point  **btcec.PublicKey
	}{
		{keychain.KeyFamilyRevocationBase, &points.Revocation},
		{keychain.KeyFamilyHtlcBase, &points.HTLC},
		{keychain.KeyFamilyPaymentBase, &points.Payment},
		{keychain.KeyFamilyDelayBase, &points.DelayedPayment},
	} {
		pair, err := s.pair(base.family, channel)
		if err != nil {
			return Basepoints{}, err
		}
		*base.point = pair.public
	}
	return points, nil
}

func (s *LocalSigner) FundingKey(index uint32) (*btcec.PublicKey, error) {
	pair, err := s.pair(keychain.KeyFamilyMultiSig, index)
	if err != nil {
		return nil, err
	}
	return pair.public, nil
}

func (s *LocalSigner) CommitmentPoint(channel uint32, number uint64) (*btcec.PublicKey, error) {
	s.mu.Lock()
	recent := s.points[channel]
	if recent == nil {
		recent = &recentPoints{}
		s.points[channel] = recent
	}
	known := recent[number%uint64(len(recent))]
	s.mu.Unlock()
	if known.point != nil && known.number == number {
		return known.point, nil
	}
	secret, err := s.ReleaseSecret(channel, number)
	if err != nil {
		return nil, err
	}
	known.number, known.point = number, secret.Point()
	s.mu.Lock()
	recent[number%uint64(len(recent))] = known
	s.mu.Unlock()
	return known.point, nil
}

func (s *LocalSigner) ReleaseSecret(channel uint32, number uint64) (Secret, error) {
	if number >= MaxCommitments {
		return Secret{}, fmt.Errorf("commitment %d: %w", number, ErrNoSuchCommitment)
	}
	root, err := s.secretRoot(channel)
	if err != nil {
		return Secret{}, err
	}
	secret, err := root.AtIndex(number)
	if err != nil {
		return Secret{}, fmt.Errorf("secret of commitment %d: %w", number, err)
	}
	return Secret(*secret), nil
}

// secretRoot derives the root of a channel's per-commitment secrets, once: every update of the channel asks for it.
func (s *LocalSigner) secretRoot(channel uint32) (*shachain.RevocationProducer, error) {
	funding, err := s.FundingKey(channel)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if root, ok := s.roots[channel]; ok {
		return root, nil
	}
	key, err := s.tree.private(keychain.KeyFamilyRevocationRoot, channel)
	if err != nil {
		return nil, err
	}
	s.roots[channel] = shachain.NewRevocationProducer(curve.ECDH(key, funding))
	return s.roots[channel], nil
}

func (s *LocalSigner) Sign(requests []SignRequest) ([]lnwire.Sig, error) {
	derived := make(map[KeyRef]*btcec.PrivateKey) // a commitment's HTLCs share one key
	for _, r := range requests {
		if _, ok := derived[r.Key]; ok {
			continue
		}
		key, err := s.channelKey(r.Key)
		if err != nil {
			return nil, err
		}
		derived[r.Key] = key
	}
	signatures := make([]lnwire.Sig, len(requests))
	failures := make([]error, len(requests))
	s.parallel(len(requests), func(i int) {
		digest, err := requests[i].Digest()
		if err != nil {
			failures[i] = err
			return
		}
		signatures[i], failures[i] = sign(derived[requests[i].Key], digest)
	})
	for i, err := range failures {
		if err != nil {
			return nil, fmt.Errorf("sign request %d of %d: %w", i, len(requests), err)
		}
	}
	return signatures, nil
}

// channelKey derives a key that may sign transactions.
func (s *LocalSigner) channelKey(ref KeyRef) (*btcec.PrivateKey, error) {
	switch ref.Family {
	case keychain.KeyFamilyNodeKey, keychain.KeyFamilyRevocationRoot:
		return nil, fmt.Errorf("sign a transaction with family %d: %w", ref.Family, ErrKeyMisused)
	}
	base, err := s.pair(ref.Family, ref.Index)
	if err != nil {
		return nil, err
	}
	switch ref.Tweak {
	case Untweaked:
		return base.private, nil
	case CommitmentTweak:
		point, err := btcec.ParsePubKey(ref.Point[:])
		if err != nil {
			return nil, fmt.Errorf("tweak a key: per-commitment point: %w", err)
		}
		return input.TweakPrivKey(base.private, input.SingleTweakBytes(point, base.public)), nil
	case RevocationTweak:
		secret, _ := btcec.PrivKeyFromBytes(ref.Secret[:])
		return input.DeriveRevocationPrivKey(base.private, secret), nil
	default:
		return nil, fmt.Errorf("tweak a key: unknown tweak %d", ref.Tweak)
	}
}

func (s *LocalSigner) ECDH(point *btcec.PublicKey) ([32]byte, error) {
	return curve.ECDH(s.node, point), nil
}

func (s *LocalSigner) SignGossip(ref KeyRef, signed []byte) (lnwire.Sig, error) {
	var key *btcec.PrivateKey
	switch {
	case ref == NodeKeyRef():
		key = s.node
	case ref == FundingKeyRef(ref.Index):
		funding, err := s.pair(ref.Family, ref.Index)
		if err != nil {
			return lnwire.Sig{}, err
		}
		key = funding.private
	default:
		return lnwire.Sig{}, fmt.Errorf("sign gossip with family %d: %w", ref.Family, ErrKeyMisused)
	}
	return sign(key, chainhash.DoubleHashB(signed))
}

func (s *LocalSigner) SignInvoice(signed []byte) ([]byte, error) {
	return signCompact(s.node, chainhash.HashB(signed))
}

func (s *LocalSigner) SignMessage(text []byte) ([]byte, error) {
	const prefix = "Lightning Signed Message:"
	return signCompact(s.node, chainhash.DoubleHashB(append([]byte(prefix), text...)))
}

// sign is a signature as it goes over the wire.
func sign(key *btcec.PrivateKey, digest []byte) (lnwire.Sig, error) {
	signature, _, err := curve.Sign(key, digest)
	if err != nil {
		return lnwire.Sig{}, err
	}
	return lnwire.NewSigFromWireECDSA(signature[:])
}

// signCompact is a signature in btcec's compact form, for a compressed key.
func signCompact(key *btcec.PrivateKey, digest []byte) ([]byte, error) {
	const compressed = 27 + 4
	signature, recovery, err := curve.Sign(key, digest)
	if err != nil {
		return nil, err
	}
	return append([]byte{compressed + recovery}, signature[:]...), nil
}

// NodeECDH is a Signer's identity in the shape that the transport and the onions take it.
type NodeECDH struct{ Signer Signer }

var _ keychain.SingleKeyECDH = NodeECDH{}

// PubKey is the node's identity.
func (n NodeECDH) PubKey() *btcec.PublicKey { return n.Signer.NodeKey() }

// ECDH is Signer.ECDH.
func (n NodeECDH) ECDH(point *btcec.PublicKey) ([32]byte, error) { return n.Signer.ECDH(point) }
