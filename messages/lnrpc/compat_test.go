package lnrpc_test

import (
	_ "embed"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"

	"stormcell/messages/lnrpc"
	"stormcell/messages/lnrpc/invoicesrpc"
	"stormcell/messages/lnrpc/routerrpc"
	"stormcell/messages/lnrpc/verrpc"
)

// lndTable has a line for each field, enum value and method of lnd v0.21's services Lightning, State, WalletUnlocker, Router,
// Invoices and Versioner, as rows prints them. Bytes on the wire depend on nothing else.
//
//go:embed testdata/lnd-v0.21.txt
var lndTable string

// TestWireCompatible holds every message, enum and method that this node serves against lnd's.
func TestWireCompatible(t *testing.T) {
	t.Parallel()
	theirs := map[string]bool{}
	for line := range strings.Lines(lndTable) {
		theirs[strings.TrimSpace(line)] = true
	}
	served := 0
	for _, file := range []protoreflect.FileDescriptor{
		lnrpc.File_messages_lnrpc_channel_proto,
		lnrpc.File_messages_lnrpc_feature_proto,
		lnrpc.File_messages_lnrpc_invoice_proto,
		lnrpc.File_messages_lnrpc_lightning_proto,
		lnrpc.File_messages_lnrpc_macaroon_proto,
		lnrpc.File_messages_lnrpc_payment_proto,
		lnrpc.File_messages_lnrpc_stateservice_proto,
		lnrpc.File_messages_lnrpc_wallet_proto,
		lnrpc.File_messages_lnrpc_walletunlocker_proto,
		routerrpc.File_messages_lnrpc_routerrpc_router_proto,
		invoicesrpc.File_messages_lnrpc_invoicesrpc_invoices_proto,
		verrpc.File_messages_lnrpc_verrpc_verrpc_proto,
	} {
		for _, row := range rows(file) {
			require.True(t, theirs[row], "lnd has no such row: %s", row)
			served++
		}
	}
	require.Greater(t, served, 500)
}

// TestWireCompatibleCatches shows that the table tells numbers, types and labels apart.
func TestWireCompatibleCatches(t *testing.T) {
	t.Parallel()
	for _, ok := range []string{
		"field lnrpc.Peer features 11 map<uint32, lnrpc.Feature>",
		"value lnrpc.WalletState SERVER_ACTIVE 4",
		"method lnrpc.State SubscribeState lnrpc.SubscribeStateRequest stream lnrpc.SubscribeStateResponse",
	} {
		require.Contains(t, lndTable, ok+"\n")
	}
	for _, wrong := range []string{
		"field lnrpc.Peer features 12", "field lnrpc.Peer pub_key 1 bytes", "field lnrpc.Peer address 3 repeated string",
	} {
		require.NotContains(t, lndTable, wrong)
	}
}

// rows describes a file in lines that are equal exactly where the wire is.
func rows(file protoreflect.FileDescriptor) []string {
	var out []string
	messages(file.Messages(), &out)
	enums(file.Enums(), &out)
	for i := range file.Services().Len() {
		service := file.Services().Get(i)
		for j := range service.Methods().Len() {
			m := service.Methods().Get(j)
			out = append(out, fmt.Sprintf("method %s %s %s%s %s%s", service.FullName(), m.Name(),
				stream(m.IsStreamingClient()), m.Input().FullName(), stream(m.IsStreamingServer()), m.Output().FullName()))
		}
	}
	return out
}

func messages(all protoreflect.MessageDescriptors, out *[]string) {
	for i := range all.Len() {
		m := all.Get(i)
		if m.IsMapEntry() {
			continue
		}
		for j := range m.Fields().Len() {
			f := m.Fields().Get(j)
			*out = append(*out, fmt.Sprintf("field %s %s %d %s", m.FullName(), f.Name(), f.Number(), typeOf(f)))
		}
		messages(m.Messages(), out)
		enums(m.Enums(), out)
	}
}

func enums(all protoreflect.EnumDescriptors, out *[]string) {
	for i := range all.Len() {
		e := all.Get(i)
		for j := range e.Values().Len() {
			v := e.Values().Get(j)
			*out = append(*out, fmt.Sprintf("value %s %s %d", e.FullName(), v.Name(), v.Number()))
		}
	}
}

func typeOf(f protoreflect.FieldDescriptor) string {
	if f.IsMap() {
		return fmt.Sprintf("map<%s, %s>", typeOf(f.MapKey()), typeOf(f.MapValue()))
	}
	name := f.Kind().String()
	switch {
	case f.Message() != nil:
		name = string(f.Message().FullName())
	case f.Enum() != nil:
		name = string(f.Enum().FullName())
	}
	if f.IsList() {
		name = "repeated " + name
		if f.IsPacked() {
			name = "packed " + name
		}
	}
	if one := f.ContainingOneof(); one != nil {
		name += " in " + string(one.Name())
	}
	return name
}

func stream(is bool) string {
	if is {
		return "stream "
	}
	return ""
}
