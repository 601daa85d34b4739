package wallet

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/btcsuite/btcwallet/snacl"
)

var (
	// ErrSeedExists refuses to write over a seed: the coins of the old one would be lost.
	ErrSeedExists = errors.New("there is a seed already")

	// ErrNoSeed says that no seed was made or restored yet.
	ErrNoSeed = errors.New("there is no seed yet")

	// ErrEmptyPassphrase refuses to keep a seed open to whoever reads the file.
	ErrEmptyPassphrase = errors.New("the passphrase is empty")

	// ErrDamagedSeed says that a file is not a seed that this version wrote.
	ErrDamagedSeed = errors.New("the seed file is damaged, or of another version")
)

// A seed file has three lines: this header; how the passphrase becomes a key, and a digest of the key (snacl); the words of
// the seed, encrypted with the key. The latter two are in hexadecimal.
const seedHeader = "stormcell seed 1"

// What it costs to try a passphrase (scrypt): 64 MiB and about a quarter of a second.
const (
	scryptN = 1 << 16
	scryptR = 8
	scryptP = 1
)

// SaveSeed writes the seed to a new file, encrypted under the passphrase, and returns when it is on the disk. It never
// replaces a file: ErrSeedExists.
func SaveSeed(path string, seed Seed, passphrase []byte) error {
	if err := writeSeed(path, seed, passphrase, os.Link); err != nil {
		if errors.Is(err, fs.ErrExist) {
			err = ErrSeedExists
		}
		return fmt.Errorf("save the seed to %s: %w", path, err)
	}
	return nil
}

// LoadSeed reads the seed. Errors are ErrNoSeed, ErrWrongPassphrase and ErrDamagedSeed.
func LoadSeed(path string, passphrase []byte) (Seed, error) {
	seed, err := readSeed(path, passphrase)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = ErrNoSeed
		}
		return Seed{}, fmt.Errorf("load the seed from %s: %w", path, err)
	}
	return seed, nil
}

// ChangePassphrase encrypts the file anew. At every moment it opens with one of the two.
func ChangePassphrase(path string, old, new []byte) error {
	seed, err := LoadSeed(path, old)
	if err != nil {
		return err
	}
	if err := writeSeed(path, seed, new, os.Rename); err != nil {
		return fmt.Errorf("change the passphrase of %s: %w", path, err)
	}
	return nil
}

// writeSeed writes a temporary file beside the real one, which place then puts there.
func writeSeed(path string, seed Seed, passphrase []byte, place func(from, to string) error) (err error) {
	if len(passphrase) == 0 {
		return ErrEmptyPassphrase
	}
	text, err := encryptSeed(seed, passphrase)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	file, err := os.CreateTemp(dir, ".seed-*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if removed := os.Remove(file.Name()); !errors.Is(removed, fs.ErrNotExist) {
			err = errors.Join(err, removed)
		}
	}()
	_, err = file.WriteString(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := place(file.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func readSeed(path string, passphrase []byte) (Seed, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Seed{}, err
	}
	return decryptSeed(string(text), passphrase)
}

func encryptSeed(seed Seed, passphrase []byte) (string, error) {
	words, err := seed.Words(nil)
	if err != nil {
		return "", err
	}
	key, err := snacl.NewSecretKey(&passphrase, scryptN, scryptR, scryptP)
	if err != nil {
		return "", err
	}
	defer key.Zero()
	encrypted, err := key.Encrypt([]byte(strings.Join(words, " ")))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s\n%x\n%x\n", seedHeader, key.Marshal(), encrypted), nil
}

func decryptSeed(text string, passphrase []byte) (Seed, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] != seedHeader || lines[3] != "" {
		return Seed{}, ErrDamagedSeed
	}
	parameters, err1 := hex.DecodeString(lines[1])
	encrypted, err2 := hex.DecodeString(lines[2])
	var key snacl.SecretKey
	if err := errors.Join(err1, err2, key.Unmarshal(parameters)); err != nil {
		return Seed{}, fmt.Errorf("%w: %w", ErrDamagedSeed, err)
	}
	if key.Parameters.N != scryptN || key.Parameters.R != scryptR || key.Parameters.P != scryptP {
		return Seed{}, ErrDamagedSeed // before memory is given away for it
	}
	switch err := key.DeriveKey(&passphrase); {
	case errors.Is(err, snacl.ErrInvalidPassword):
		return Seed{}, ErrWrongPassphrase
	case err != nil:
		return Seed{}, fmt.Errorf("%w: %w", ErrDamagedSeed, err)
	}
	defer key.Zero()
	words, err := key.Decrypt(encrypted)
	if err != nil {
		return Seed{}, fmt.Errorf("%w: %w", ErrDamagedSeed, err)
	}
	seed, err := RestoreSeed(strings.Fields(string(words)), nil)
	if err != nil {
		return Seed{}, fmt.Errorf("%w: %w", ErrDamagedSeed, err)
	}
	return seed, nil
}
