package ctl

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"stormcell/cmd/node/fault"
	"stormcell/messages/lnrpc"
)

func bakeMacaroonCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "bakemacaroon PERMISSION...",
		GroupID: groupMore,
		Short:   "Make a macaroon that allows certain calls alone",
		Long: `Make a macaroon that allows what you say and nothing else. Programs show it to
the daemon with each call. A permission is what it is about and what may be done
with it, as invoices:write, or uri: and a call's name.
'stormcell listpermissions' shows what each call needs.`,
		Example: `  stormcell bakemacaroon info:read invoices:write --save-to=shop.macaroon
  stormcell bakemacaroon uri:/lnrpc.Lightning/GetInfo
  stormcell getinfo --macaroon=shop.macaroon`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: known(bakeablePermissions),
	}
	save := cmd.Flags().String("save-to", "", "write the macaroon to a new `FILE` instead of showing it")
	rootKey := cmd.Flags().Uint64("root-key-id", 0, "the `NUMBER` of the key that it is made from; deleting the key revokes it")
	return clientCommand(cmd, func(ctx context.Context, c *client, p printer, args []string) error {
		r := &lnrpc.BakeMacaroonRequest{RootKeyId: *rootKey}
		for _, text := range args {
			entity, action, found := strings.Cut(text, ":")
			if !found {
				return fault.New(fault.Usage, fmt.Errorf("%q is no permission", plain(text, 60)), "Say it as invoices:read.")
			}
			r.Permissions = append(r.Permissions, &lnrpc.MacaroonPermission{Entity: entity, Action: action})
		}
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		answer, err := lnrpc.NewLightningClient(c).BakeMacaroon(ctx, r)
		if err != nil {
			return err
		}
		if *save == "" {
			return p.print(answer, func() { p.line("%s", answer.Macaroon) })
		}
		if err := saveMacaroon(*save, answer.Macaroon); err != nil {
			return err
		}
		return p.print(answer, func() { p.line("the macaroon is in %s", *save) })
	})
}

// saveMacaroon writes a macaroon as the daemon does: its bytes, for the owner alone.
func saveMacaroon(path, digits string) error {
	serialized, err := hex.DecodeString(digits)
	if err != nil {
		return fmt.Errorf("the daemon's answer: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(serialized)
	return errors.Join(err, f.Close())
}

func listPermissionsCommand() *cobra.Command {
	return clientCommand(&cobra.Command{
		Use:     "listpermissions",
		GroupID: groupMore,
		Short:   "Show the permissions that each call needs",
		Example: "  stormcell listpermissions | grep Invoice",
		Args:    cobra.NoArgs,
	}, func(ctx context.Context, c *client, p printer, _ []string) error {
		ctx, err := c.authorized(ctx)
		if err != nil {
			return err
		}
		answer, err := lnrpc.NewLightningClient(c).ListPermissions(ctx, &lnrpc.ListPermissionsRequest{})
		if err != nil {
			return err
		}
		return p.print(answer, func() {
			var rows [][]string
			for _, method := range slices.Sorted(maps.Keys(answer.MethodPermissions)) {
				rows = append(rows, []string{method, strings.Join(namesOf(answer.MethodPermissions[method]), " ")})
			}
			p.table([]column{{name: "CALL"}, {name: "NEEDS"}}, rows)
		})
	})
}

// namesOf are permissions as people say them.
func namesOf(list *lnrpc.MacaroonPermissionList) []string {
	var names []string
	for _, p := range list.GetPermissions() {
		names = append(names, p.Entity+":"+p.Action)
	}
	return names
}

// bakeablePermissions completes permissions: all that some call needs.
func bakeablePermissions(ctx context.Context, c *client) []string {
	answer, _ := lnrpc.NewLightningClient(c).ListPermissions(ctx, &lnrpc.ListPermissionsRequest{})
	all := map[string]bool{}
	for _, list := range answer.GetMethodPermissions() {
		for _, name := range namesOf(list) {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
