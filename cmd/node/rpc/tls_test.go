package rpc

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/cert"
	"github.com/stretchr/testify/require"
)

// TestCertificateAfterCrash: a renewal that ends between its two files leaves a key that is not the certificate's.
func TestCertificateAfterCrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certPath, keyPath := filepath.Join(dir, CertFile), filepath.Join(dir, certKeyFile)
	old, err := certificate(certPath, keyPath, time.Now())
	require.NoError(t, err)
	before, err := os.ReadFile(certPath)
	require.NoError(t, err)
	renewed, err := certificate(certPath, keyPath, time.Now().Add(certificateLasts))
	require.NoError(t, err)
	require.NotEqual(t, old.Certificate, renewed.Certificate)

	require.NoError(t, os.WriteFile(certPath, before, 0o600))
	mended, err := certificate(certPath, keyPath, time.Now())
	require.NoError(t, err)
	require.NotEqual(t, old.Certificate, mended.Certificate)
	for path, mode := range map[string]os.FileMode{certPath: 0o644, keyPath: 0o600} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), path)
	}
}

// TestCertificateOfSomebodyElse: what the operator has put there is not replaced because it does not fit.
func TestCertificateOfSomebodyElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certPath, keyPath := filepath.Join(dir, CertFile), filepath.Join(dir, certKeyFile)
	_, err := certificate(certPath, keyPath, time.Now())
	require.NoError(t, err)
	theirs, _, err := cert.GenCertPair("somebody else", nil, nil, false, certificateLasts)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(certPath, theirs, 0o644))
	_, err = certificate(certPath, keyPath, time.Now())
	require.ErrorContains(t, err, "private key does not match")
	after, err := os.ReadFile(certPath)
	require.NoError(t, err)
	require.Equal(t, theirs, after)
}
