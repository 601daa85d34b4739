package rpc

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// keyring has the keys that macaroons are made from, by number. Each is in a file of its own: macaroon.key is number 0, which
// the daemon's own macaroons are made from, and macaroon.7.key is number 7.
type keyring struct {
	dir string

	mu   sync.Mutex
	keys map[uint64][]byte
}

const (
	rootKeySize = 32
	// maxRootKeys bounds what clients can make of them.
	maxRootKeys = 1024
)

var (
	errKeyNeeded   = status.Error(codes.Unknown, "the specified ID cannot be deleted")
	errTooManyKeys = status.Errorf(codes.ResourceExhausted, "there are %d root keys: delete some with DeleteMacaroonID", maxRootKeys)
)

// openKeyring loads the keys. Without number 0, a new one is made: macaroons that were made from the old one are worth nothing.
func openKeyring(dir string) (*keyring, error) {
	k := &keyring{dir: dir, keys: map[uint64][]byte{}}
	files, err := filepath.Glob(filepath.Join(dir, "macaroon.*.key"))
	if err != nil {
		return nil, err
	}
	for _, file := range append(files, k.path(0)) {
		var id uint64
		if file != k.path(0) {
			if _, err := fmt.Sscanf(filepath.Base(file), "macaroon.%d.key", &id); err != nil || k.path(id) != file {
				continue // nothing of ours
			}
		}
		key, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("macaroon key: %w", err)
		}
		if len(key) != rootKeySize {
			return nil, fmt.Errorf("macaroon key: %s has %d bytes, want %d", file, len(key), rootKeySize)
		}
		k.keys[id] = key
	}
	_, err = k.key(0)
	return k, err
}

func (k *keyring) path(id uint64) string {
	if id == 0 {
		return filepath.Join(k.dir, rootKeyFile)
	}
	return filepath.Join(k.dir, fmt.Sprintf("macaroon.%d.key", id))
}

// key gives a key, and makes it if there is none of the number. It is on the disk when it returns.
func (k *keyring) key(id uint64) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if key, there := k.keys[id]; there {
		return key, nil
	}
	if len(k.keys) >= maxRootKeys {
		return nil, errTooManyKeys
	}
	key := make([]byte, rootKeySize)
	_, _ = rand.Read(key) // it does not fail
	if err := writeDurably(k.path(id), key, 0o600); err != nil {
		return nil, fmt.Errorf("macaroon key: %w", err)
	}
	k.keys[id] = key
	return key, nil
}

// ids are the numbers of the keys, in order.
func (k *keyring) ids() []uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	ids := make([]uint64, 0, len(k.keys))
	for id := range k.keys {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// remove deletes a key and tells whether there was one. Number 0 is not to be deleted.
func (k *keyring) remove(id uint64) (bool, error) {
	if id == 0 {
		return false, errKeyNeeded
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, there := k.keys[id]; !there {
		return false, nil
	}
	if err := os.Remove(k.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("delete a macaroon key: %w", err)
	}
	delete(k.keys, id)
	if err := syncDir(k.dir); err != nil {
		return false, fmt.Errorf("delete a macaroon key: %w", err)
	}
	return true, nil
}

// Get implements bakery.RootKeyStore. In a macaroon the number of a key is written in decimal digits. The error is in lnd's words.
func (k *keyring) Get(_ context.Context, id []byte) ([]byte, error) {
	number, err := strconv.ParseUint(string(id), 10, 64)
	k.mu.Lock()
	defer k.mu.Unlock()
	key, there := k.keys[number]
	if err != nil || !there || !bytes.Equal(id, storageID(number)) {
		return nil, fmt.Errorf("root key with id %s doesn't exist", id)
	}
	return key, nil
}

func storageID(id uint64) []byte { return strconv.AppendUint(nil, id, 10) }

// numbered is a keyring that bakes with the key of one number.
type numbered struct {
	*keyring
	id uint64
}

// RootKey implements bakery.RootKeyStore.
func (n numbered) RootKey(context.Context) (key, id []byte, err error) {
	key, err = n.key(n.id)
	return key, storageID(n.id), err
}

// writeDurably writes a file: after a crash there is all of it, or what was there before.
func writeDurably(path string, content []byte, mode os.FileMode) error {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Chmod(mode), file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
