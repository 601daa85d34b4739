package ctl

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"stormcell/cmd/node/config"
	"stormcell/cmd/node/fault"
	"stormcell/cmd/node/rpc"
)

// maxAnswer in bytes is for lists of a node that is some years old; gRPC's own limit is 4 MiB.
const maxAnswer = 200 << 20

// client is a connection to the daemon of a data directory.
type client struct {
	*grpc.ClientConn
	config config.Client
	server string
}

// clientCommand makes a command that talks to the daemon, from what it does with the connection.
func clientCommand(cmd *cobra.Command, run func(ctx context.Context, c *client, p printer, args []string) error) *cobra.Command {
	config.ClientFlags(cmd.Flags())
	asJSON := cmd.Flags().Bool("json", false, "print JSON, for programs")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := config.LoadClient(cmd.Flags())
		if err != nil {
			return err
		}
		c, err := dial(cfg)
		if err != nil {
			return err
		}
		defer c.Close()
		return c.explain(run(cmd.Context(), c, printer{out: cmd.OutOrStdout(), json: *asJSON}, args))
	}
	return cmd
}

func dial(cfg config.Client) (*client, error) {
	server, err := findServer(cfg)
	if err != nil {
		return nil, err
	}
	creds, err := credentials.NewClientTLSFromFile(cmp.Or(cfg.Certificate, cfg.Path(rpc.CertFile)), "")
	if err != nil {
		return nil, fault.New(fault.Unreachable, fmt.Errorf("the daemon's certificate: %w", err),
			"Is %s the right data directory? Choose one with --datadir or --network, or a certificate with --tlscert.", cfg.Dir)
	}
	conn, err := grpc.NewClient("passthrough:///"+server, grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)))
	if err != nil {
		return nil, fault.New(fault.Usage, err, "Check --rpcserver.")
	}
	return &client{ClientConn: conn, config: cfg, server: server}, nil
}

// findServer is where the daemon answers.
func findServer(cfg config.Client) (string, error) {
	if cfg.Server != "" {
		return cfg.Server, nil
	}
	text, err := os.ReadFile(cfg.Path(config.AddressFile))
	if errors.Is(err, os.ErrNotExist) {
		advice := "Start one with 'stormcell start', or choose another with --network, --datadir or --rpcserver."
		if others := runningBeside(cfg); len(others) > 0 {
			advice = fmt.Sprintf("One runs on %s: do you mean --network=%s?", strings.Join(others, " and one on "), others[0])
		}
		return "", fault.New(fault.Unreachable, fmt.Errorf("no daemon runs on %s", cfg.Dir), "%s", advice)
	}
	if err != nil {
		return "", fault.New(fault.Unreachable, err, "Choose the daemon with --rpcserver.")
	}
	return strings.TrimSpace(string(text)), nil
}

// runningBeside are the networks that daemons run on whose data directories are beside this one, where they usually are.
func runningBeside(cfg config.Client) []string {
	parent, name := filepath.Split(cfg.Dir)
	if name != cfg.Network.String() {
		return nil
	}
	var networks []string
	found, _ := filepath.Glob(filepath.Join(parent, "*", config.AddressFile))
	for _, path := range found {
		networks = append(networks, filepath.Base(filepath.Dir(path)))
	}
	return networks
}

// authorized adds the admin macaroon, or the one that was chosen, to the calls made with a context.
func (c *client) authorized(ctx context.Context) (context.Context, error) {
	path := cmp.Or(c.config.Macaroon, c.config.Path(rpc.MacaroonFile))
	macaroon, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fault.New(fault.Forbidden, fmt.Errorf("there is no macaroon %s", path),
			"The daemon makes one in its data directory when it starts. Choose the directory with --datadir or --network, "+
				"or the file with --macaroon.")
	}
	if err != nil {
		return nil, fault.New(fault.Forbidden, fmt.Errorf("the macaroon: %w", err),
			"Only the user that runs the daemon may read it. Choose another with --macaroon.")
	}
	return metadata.AppendToOutgoingContext(ctx, "macaroon", hex.EncodeToString(macaroon)), nil
}

// explain turns what the API answers into a sentence, and what to do.
func (c *client) explain(err error) error {
	var f *fault.Fault
	answer, ok := status.FromError(err)
	if err == nil || errors.As(err, &f) || !ok {
		return err
	}
	said := errors.New(answer.Message())
	switch {
	case answer.Message() == rpc.TextNoWallet:
		return fault.New(fault.Locked, errors.New("there is no wallet yet"), "Make one with 'stormcell create'.")
	case answer.Message() == rpc.TextWalletLocked:
		return fault.New(fault.Locked, errors.New("the wallet is locked"), "Unlock it with 'stormcell unlock'.")
	case answer.Message() == rpc.TextWrongPassphrase:
		return fault.New(fault.Forbidden, errors.New("wrong passphrase"), "")
	case answer.Message() == rpc.TextWalletUnlocked:
		return fault.New(fault.Failed, errors.New("the wallet is unlocked already"), "The node runs: see 'stormcell getinfo'.")
	case rpc.RefusesMacaroon(answer.Message()):
		return fault.New(fault.Forbidden, fmt.Errorf("the daemon does not accept the macaroon: %w", said),
			"The macaroon of this daemon is %s in its data directory.", rpc.MacaroonFile)
	case strings.HasPrefix(answer.Message(), "permission denied"):
		return fault.New(fault.Forbidden, said, "Use another macaroon, with --macaroon.")
	case answer.Code() == codes.Unavailable:
		return c.unreachable(answer.Message())
	case answer.Code() == codes.Canceled:
		return errInterrupted
	default:
		return said
	}
}

// unreachable says why a daemon does not answer, from what gRPC says of the connection.
func (c *client) unreachable(said string) error {
	switch {
	case strings.Contains(said, "connection refused"):
		return fault.New(fault.Unreachable, fmt.Errorf("no daemon answers at %s", c.server),
			"Start it with 'stormcell start'. If it should be running, its log in %s says why it is not.", c.config.Dir)
	case strings.Contains(said, "certificate has expired"):
		return fault.New(fault.Unreachable, fmt.Errorf("the certificate of the daemon at %s has expired", c.server),
			"Start the daemon again: it makes a new one.")
	case strings.Contains(said, "x509:"):
		return fault.New(fault.Unreachable, fmt.Errorf("who answers at %s is not the daemon of %s", c.server, c.config.Dir),
			"Its certificate is another. Choose the daemon's data directory with --datadir, or its certificate with --tlscert.")
	}
	return fault.New(fault.Unreachable, fmt.Errorf("the daemon at %s does not answer: %s", c.server, said),
		"Its log is in %s.", c.config.Dir)
}
