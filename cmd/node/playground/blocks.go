package playground

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/rpcclient"
)

// blocks is a file with the chain, a block to a line in hexadecimal digits: btcd begins its regtest chain anew at every start.
type blocks struct {
	path   string
	height int64 // of the last one in the file
}

// restore gives a new btcd the blocks of the file, and tells how many. A line that was not written to its end is cut off.
func (b *blocks) restore(to *rpcclient.Client) (int64, error) {
	text, err := os.ReadFile(b.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	whole := text[:bytes.LastIndexByte(text, '\n')+1]
	for line := range strings.Lines(string(whole)) {
		serialized, err := hex.DecodeString(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return 0, fmt.Errorf("%s: %w", b.path, err)
		}
		block, err := btcutil.NewBlockFromBytes(serialized)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", b.path, err)
		}
		if err := to.SubmitBlock(block, nil); err != nil {
			return 0, fmt.Errorf("block %d of %s: %w", b.height+1, b.path, err)
		}
		b.height++
	}
	if len(whole) == len(text) {
		return b.height, nil
	}
	return b.height, os.Truncate(b.path, int64(len(whole)))
}

// save adds the blocks that are new.
func (b *blocks) save(from *rpcclient.Client) error {
	tip, err := from.GetBlockCount()
	if err != nil {
		return fmt.Errorf("save the chain: %w", err)
	}
	var text bytes.Buffer
	for height := b.height + 1; height <= tip; height++ {
		if err := writeBlock(&text, from, height); err != nil {
			return fmt.Errorf("save block %d: %w", height, err)
		}
	}
	file, err := os.OpenFile(b.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text.Bytes())
	b.height = tip
	return errors.Join(err, file.Close())
}

func writeBlock(w io.Writer, from *rpcclient.Client, height int64) error {
	hash, err := from.GetBlockHash(height)
	if err != nil {
		return err
	}
	block, err := from.GetBlock(hash)
	if err != nil {
		return err
	}
	digits := hex.NewEncoder(w)
	if err := block.Serialize(digits); err != nil {
		return err
	}
	_, err = fmt.Fprintln(w)
	return err
}
