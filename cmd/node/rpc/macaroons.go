package rpc

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"stormcell/messages/lnrpc"
)

// Entities and actions that a macaroon can be baked with, lnd's.
var (
	bakeActions  = []string{"read", "write", "generate"}
	bakeEntities = []string{
		"onchain", "offchain", "address", "message", "peers", "info", "invoices", "signer", "macaroon", uriEntity,
	}
)

// BakeMacaroon implements lnrpc.LightningServer.
func (l *lightning) BakeMacaroon(
	_ context.Context, r *lnrpc.BakeMacaroonRequest,
) (*lnrpc.BakeMacaroonResponse, error) {
	if len(r.Permissions) == 0 {
		return nil, status.Errorf(codes.Unknown, "permission list cannot be empty. specify at least one action/entity pair. %s",
			bakeHelp())
	}
	permissions := make([]permission, len(r.Permissions))
	for i, p := range r.Permissions {
		if err := bakeable(p, r.AllowExternalPermissions); err != nil {
			return nil, err
		}
		permissions[i] = permission(p.Entity + ":" + p.Action)
	}
	baked, err := l.server.macaroons.bake(r.RootKeyId, permissions)
	if err != nil {
		return nil, err
	}
	if len(baked) > maxMacaroonBytes/2 { // caveats need room
		return nil, status.Errorf(codes.InvalidArgument, "%d permissions are too many for one macaroon", len(permissions))
	}
	return &lnrpc.BakeMacaroonResponse{Macaroon: hex.EncodeToString(baked)}, nil
}

// bakeable tells why a permission cannot be baked. One that means nothing to this node can be, for other programs that check
// macaroons with it, if the caller says that this is meant.
func bakeable(p *lnrpc.MacaroonPermission, external bool) error {
	switch {
	case external && p.Entity != "" && p.Action != "" && !strings.Contains(p.Entity, ":"):
		return nil
	case !slices.Contains(bakeEntities, p.Entity):
		return status.Errorf(codes.Unknown, "invalid permission entity. %s", bakeHelp())
	case p.Entity == uriEntity:
		if _, known := needed[p.Action]; !known {
			return status.Error(codes.Unknown,
				"invalid permission action, must be an existing URI in the format /package.Service/MethodName")
		}
	case !slices.Contains(bakeActions, p.Action):
		return status.Errorf(codes.Unknown, "invalid permission action. %s", bakeHelp())
	}
	return nil
}

func bakeHelp() string {
	return "supported actions are [" + strings.Join(bakeActions, " ") + "], supported entities are [" +
		strings.Join(bakeEntities, " ") + "]"
}

// ListMacaroonIDs implements lnrpc.LightningServer.
func (l *lightning) ListMacaroonIDs(
	context.Context, *lnrpc.ListMacaroonIDsRequest,
) (*lnrpc.ListMacaroonIDsResponse, error) {
	return &lnrpc.ListMacaroonIDsResponse{RootKeyIds: l.server.macaroons.keys.ids()}, nil
}

// DeleteMacaroonID implements lnrpc.LightningServer.
func (l *lightning) DeleteMacaroonID(
	_ context.Context, r *lnrpc.DeleteMacaroonIDRequest,
) (*lnrpc.DeleteMacaroonIDResponse, error) {
	deleted, err := l.server.macaroons.keys.remove(r.RootKeyId)
	if err != nil {
		return nil, err
	}
	return &lnrpc.DeleteMacaroonIDResponse{Deleted: deleted}, nil
}

// ListPermissions implements lnrpc.LightningServer.
func (l *lightning) ListPermissions(
	context.Context, *lnrpc.ListPermissionsRequest,
) (*lnrpc.ListPermissionsResponse, error) {
	answer := &lnrpc.ListPermissionsResponse{MethodPermissions: map[string]*lnrpc.MacaroonPermissionList{}}
	for method, permissions := range needed {
		list := &lnrpc.MacaroonPermissionList{}
		for _, op := range operations(permissions) {
			list.Permissions = append(list.Permissions, &lnrpc.MacaroonPermission{Entity: op.Entity, Action: op.Action})
		}
		answer.MethodPermissions[method] = list
	}
	return answer, nil
}

// CheckMacaroonPermissions implements lnrpc.LightningServer.
func (l *lightning) CheckMacaroonPermissions(
	ctx context.Context, r *lnrpc.CheckMacPermRequest,
) (*lnrpc.CheckMacPermResponse, error) {
	var permissions []permission
	for _, p := range r.Permissions {
		if p.Entity == "" || p.Action == "" || strings.Contains(p.Entity, ":") {
			return nil, status.Error(codes.InvalidArgument, "a permission needs an entity and an action")
		}
		permissions = append(permissions, permission(p.Entity+":"+p.Action))
	}
	switch {
	case len(permissions) == 0 && r.FullMethod == "" && !r.CheckDefaultPermsFromFullMethod:
		return nil, status.Error(codes.InvalidArgument, "say permissions, or a full method")
	case len(permissions) > 0 && r.CheckDefaultPermsFromFullMethod:
		return nil, status.Error(codes.Unknown,
			"cannot check default permissions from full method and from provided permission list at the same time")
	case r.FullMethod == "" && r.CheckDefaultPermsFromFullMethod:
		return nil, status.Error(codes.Unknown,
			"cannot check default permissions from full method without providing the full method name")
	case r.CheckDefaultPermsFromFullMethod:
		var known bool
		if permissions, known = needed[r.FullMethod]; !known {
			return nil, status.Errorf(codes.Unknown, "no permissions found for full method %s", r.FullMethod)
		}
	}
	if err := l.server.macaroons.check(ctx, r.Macaroon, permissions, r.FullMethod); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return &lnrpc.CheckMacPermResponse{Valid: true}, nil
}
