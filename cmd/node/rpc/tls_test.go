package rpc

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/cert"
	"github.com/stretchr/testify/require"
)

// newCertificateFiles are files in a directory, and what is logged about them.
func newCertificateFiles(t *testing.T) (certificateFiles, *bytes.Buffer) {
	t.Helper()
	dir, said := t.TempDir(), &bytes.Buffer{}
	return certificateFiles{
		cert: filepath.Join(dir, CertFile), key: filepath.Join(dir, certKeyFile), log: slog.New(slog.NewTextHandler(said, nil)),
	}, said
}

func fingerprint(t *testing.T, certificate tls.Certificate) string {
	t.Helper()
	return string(certificate.Certificate[0])
}

func TestCertificateIsMadeAndRenewed(t *testing.T) {
	t.Parallel()
	files, said := newCertificateFiles(t)
	now := time.Now()
	made, err := files.load(now)
	require.NoError(t, err)
	info, err := os.Stat(files.key)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode())
	first := fingerprint(t, made)

	same := func(want bool, at time.Time, why string) {
		t.Helper()
		said.Reset()
		loaded, err := files.load(at)
		require.NoError(t, err)
		require.Equal(t, want, fingerprint(t, loaded) == first)
		require.Contains(t, said.String(), why)
		first = fingerprint(t, loaded)
	}
	require.NoError(t, os.Chmod(files.key, 0o644))
	same(true, now, "")
	info, err = os.Stat(files.key)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode())

	end := now.Add(certificateLasts)
	same(true, end.Add(-certificateRenewal-time.Hour), "")
	same(false, end.Add(-certificateRenewal+time.Hour), "it expires on")
	same(false, end.Add(time.Hour), "it expires on")

	files.names = Names{Domains: []string{"node.example"}, IPs: []string{"192.0.2.7"}}
	same(false, now, "it is not for node.example")
	same(true, now, "")
	parsed, err := files.parse()
	require.NoError(t, err)
	for _, name := range []string{"node.example", "192.0.2.7", "localhost", "127.0.0.1"} {
		require.NoError(t, parsed.VerifyHostname(name))
	}

	// A crash between the two files leaves a certificate without its key.
	other, _ := newCertificateFiles(t)
	_, err = other.load(now)
	require.NoError(t, err)
	foreign, err := os.ReadFile(other.key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(files.key, foreign, 0o600))
	same(false, now, "private key does not match")
	require.NoError(t, os.Remove(files.key))
	same(false, now, "no such file")
}

// TestOperatorsCertificateIsNotReplaced: whatever is wrong with it, both files stay as they are.
func TestOperatorsCertificateIsNotReplaced(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		spoil   func(t *testing.T, files certificateFiles)
		at      time.Time
		names   Names
		refused string // empty if it is served
		warned  string
	}{
		"good":              {at: now},
		"expired":           {at: now.Add(48 * time.Hour), warned: "has expired"},
		"not for a name":    {at: now, names: Names{Domains: []string{"node.example"}}, warned: "name=node.example"},
		"without its key":   {at: now, spoil: func(t *testing.T, f certificateFiles) { require.NoError(t, os.Remove(f.key)) }, refused: "did not make this certificate"},
		"with another key":  {at: now, spoil: func(t *testing.T, f certificateFiles) { putForeignKey(t, f) }, refused: "private key does not match"},
		"key alone":         {at: now, spoil: func(t *testing.T, f certificateFiles) { require.NoError(t, os.Remove(f.cert)) }, refused: "is there without"},
		"no certificate":    {at: now, spoil: func(t *testing.T, f certificateFiles) { require.NoError(t, os.WriteFile(f.cert, []byte("x"), 0o644)) }, refused: "no PEM file"},
		"broken within PEM": {at: now, spoil: func(t *testing.T, f certificateFiles) { breakCertificate(t, f) }, refused: "x509"},
	} {
		t.Run(name, func(t *testing.T) {
			files, said := newCertificateFiles(t)
			files.names = c.names
			certText, keyText, err := cert.GenCertPair("the operator", nil, nil, false, 24*time.Hour)
			require.NoError(t, err)
			require.NoError(t, cert.WriteCertPair(files.cert, files.key, certText, keyText))
			if c.spoil != nil {
				c.spoil(t, files)
			}
			content := func() (both [2]string) {
				for i, path := range []string{files.cert, files.key} {
					text, _ := os.ReadFile(path)
					both[i] = string(text)
				}
				return both
			}
			before := content()
			_, err = files.load(c.at)
			if c.refused != "" {
				require.ErrorContains(t, err, c.refused)
			} else {
				require.NoError(t, err)
			}
			require.Equal(t, before, content())
			require.Contains(t, said.String(), c.warned)
		})
	}
}

func putForeignKey(t *testing.T, files certificateFiles) {
	t.Helper()
	_, keyText, err := cert.GenCertPair("another", nil, nil, false, time.Hour)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(files.key, keyText, 0o600))
}

func breakCertificate(t *testing.T, files certificateFiles) {
	t.Helper()
	require.NoError(t, os.WriteFile(files.cert, []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), 0o644))
}

// TestNoKeyWithoutCertificate: where the certificate cannot be written, as on a full disk, no key is left that no start would take.
func TestNoKeyWithoutCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := certificateFiles{
		cert: filepath.Join(dir, "missing", CertFile), key: filepath.Join(dir, certKeyFile), log: slog.New(slog.DiscardHandler),
	}
	_, err := files.load(time.Now())
	require.ErrorContains(t, err, "make a certificate")
	require.NoFileExists(t, files.key)
}
