package seed

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/btcsuite/btcwallet/snacl"
	"github.com/lightningnetwork/lnd/aezeed"
)

// Errors of a seed's file. They arrive wrapped.
var (
	// ErrAbsent: there is no seed.
	ErrAbsent = errors.New("there is no seed")
	// ErrExists: there is a seed already, and it is never overwritten.
	ErrExists = errors.New("there is a seed already")
	// ErrWrongPassphrase: the seed is encrypted under another passphrase.
	ErrWrongPassphrase = errors.New("wrong passphrase")
	// ErrCorrupt: the file is not what was written.
	ErrCorrupt = errors.New("the seed's file is broken")
	// ErrNewerFormat: the file was written by a later program.
	ErrNewerFormat = errors.New("the seed's file was written by a newer program")
)

// The cost of guessing a passphrase: 128 MiB of memory and some 400 ms for each guess (scrypt).
const (
	scryptN = 1 << 17
	scryptR = 8
	scryptP = 1
)

// format is the layout of the file.
const format = 1

// file is what is on disk.
type file struct {
	Format int    `json:"format"`
	KDF    []byte `json:"scrypt"` // salt, digest and cost, as snacl marshals them
	Sealed []byte `json:"sealed"` // content, in JSON
}

// content is what is encrypted.
type content struct {
	Version  uint8  `json:"version"`
	Birthday uint16 `json:"birthday"` // days since the genesis block
	Entropy  []byte `json:"entropy"`
}

// Exists tells whether there is a seed.
func Exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Store encrypts the seed under a passphrase and writes it, durably. The error is ErrExists or the file system's.
func (s Seed) Store(path string, passphrase []byte) error {
	if there, err := Exists(path); err != nil {
		return err
	} else if there {
		return fmt.Errorf("%w: %s", ErrExists, path)
	}
	key, err := snacl.NewSecretKey(&passphrase, scryptN, scryptR, scryptP)
	if err != nil {
		return fmt.Errorf("encrypt the seed: %w", err)
	}
	defer key.Zero()
	plain, err := json.Marshal(content{s.InternalVersion, s.Birthday, s.Entropy[:]})
	if err != nil {
		return fmt.Errorf("encrypt the seed: %w", err)
	}
	sealed, err := key.Encrypt(plain)
	if err != nil {
		return fmt.Errorf("encrypt the seed: %w", err)
	}
	text, err := json.Marshal(file{format, key.Marshal(), sealed})
	if err != nil {
		return fmt.Errorf("encrypt the seed: %w", err)
	}
	return writeNew(path, append(text, '\n'))
}

// Load reads the seed. The errors are ErrAbsent, ErrWrongPassphrase, ErrCorrupt, ErrNewerFormat and the file system's.
func Load(path string, passphrase []byte) (Seed, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return Seed{}, fmt.Errorf("%w: %s", ErrAbsent, path)
	}
	if err != nil {
		return Seed{}, err
	}
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		return Seed{}, fmt.Errorf("%w: %s: %w", ErrCorrupt, path, err)
	}
	if f.Format > format {
		return Seed{}, fmt.Errorf("%w: %s has format %d, this program knows %d", ErrNewerFormat, path, f.Format, format)
	}
	c, err := f.open(passphrase)
	if errors.Is(err, snacl.ErrInvalidPassword) {
		return Seed{}, ErrWrongPassphrase
	}
	if err != nil {
		return Seed{}, fmt.Errorf("%w: %s: %w", ErrCorrupt, path, err)
	}
	return Seed{&aezeed.CipherSeed{
		InternalVersion: c.Version, Birthday: c.Birthday, Entropy: [EntropySize]byte(c.Entropy),
	}}, nil
}

func (f file) open(passphrase []byte) (content, error) {
	var key snacl.SecretKey
	if err := key.Unmarshal(f.KDF); err != nil {
		return content{}, err
	}
	// A broken file must not ask for more memory than there is.
	if p := key.Parameters; p.N != scryptN || p.R != scryptR || p.P != scryptP {
		return content{}, fmt.Errorf("scrypt cost N=%d r=%d p=%d is not this program's", p.N, p.R, p.P)
	}
	if err := key.DeriveKey(&passphrase); err != nil {
		return content{}, err
	}
	defer key.Zero()
	plain, err := key.Decrypt(f.Sealed)
	if err != nil {
		return content{}, err
	}
	var c content
	if err := json.Unmarshal(plain, &c); err != nil {
		return content{}, err
	}
	if len(c.Entropy) != EntropySize {
		return content{}, fmt.Errorf("%d bytes of entropy, want %d", len(c.Entropy), EntropySize)
	}
	return c, nil
}

// writeNew writes a file that was not there, durably: after a crash it is there as a whole or not at all.
func writeNew(path string, text []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*") // for the owner's eyes only
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	// Unlike a rename, a link does not replace what somebody else wrote meanwhile.
	if err := os.Link(f.Name(), path); err != nil {
		if errors.Is(err, os.ErrExist) {
			err = fmt.Errorf("%w: %s", ErrExists, path)
		}
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
