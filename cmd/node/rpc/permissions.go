package rpc

import (
	"stormcell/messages/debugrpc"
	"stormcell/messages/lnrpc"
	"stormcell/messages/lnrpc/invoicesrpc"
	"stormcell/messages/lnrpc/routerrpc"
	"stormcell/messages/lnrpc/verrpc"
)

// permission is what a macaroon allows, as lnd names it: on what, and what to do with it.
type permission string

const (
	readAddress   permission = "address:read"
	writeAddress  permission = "address:write"
	readInfo      permission = "info:read"
	writeInfo     permission = "info:write"
	readInvoices  permission = "invoices:read"
	writeInvoices permission = "invoices:write"
	readMessage   permission = "message:read"
	writeMessage  permission = "message:write"
	readOffchain  permission = "offchain:read"
	writeOffchain permission = "offchain:write"
	readOnchain   permission = "onchain:read"
	writeOnchain  permission = "onchain:write"
	readPeers     permission = "peers:read"
	writePeers    permission = "peers:write"
	readMacaroon  permission = "macaroon:read"
	writeMacaroon permission = "macaroon:write"
	bakeMacaroon  permission = "macaroon:generate"
	readSigner    permission = "signer:read"

	generateSigner permission = "signer:generate"
)

// needed are the permissions for each method, lnd's but for what lnd does not have. A method that is not here cannot be called.
var needed = map[string][]permission{
	lnrpc.Lightning_GetInfo_FullMethodName:        {readInfo},
	lnrpc.Lightning_StopDaemon_FullMethodName:     {writeInfo},
	lnrpc.Lightning_ListPeers_FullMethodName:      {readPeers},
	lnrpc.Lightning_ConnectPeer_FullMethodName:    {writePeers},
	lnrpc.Lightning_DisconnectPeer_FullMethodName: {writePeers},

	lnrpc.Lightning_SubscribePeerEvents_FullMethodName: {readPeers},
	lnrpc.Lightning_GetNodeInfo_FullMethodName:         {readInfo},
	lnrpc.Lightning_GetChanInfo_FullMethodName:         {readInfo},
	lnrpc.Lightning_SignMessage_FullMethodName:         {writeMessage},
	lnrpc.Lightning_VerifyMessage_FullMethodName:       {readMessage},
	lnrpc.Lightning_DebugLevel_FullMethodName:          {writeInfo},
	verrpc.Versioner_GetVersion_FullMethodName:         {readInfo},

	lnrpc.Lightning_BakeMacaroon_FullMethodName:             {bakeMacaroon},
	lnrpc.Lightning_ListMacaroonIDs_FullMethodName:          {readMacaroon},
	lnrpc.Lightning_DeleteMacaroonID_FullMethodName:         {writeMacaroon},
	lnrpc.Lightning_ListPermissions_FullMethodName:          {readInfo},
	lnrpc.Lightning_CheckMacaroonPermissions_FullMethodName: {readMacaroon},

	lnrpc.Lightning_NewAddress_FullMethodName:      {writeAddress},
	lnrpc.Lightning_WalletBalance_FullMethodName:   {readOnchain},
	lnrpc.Lightning_ListUnspent_FullMethodName:     {readOnchain},
	lnrpc.Lightning_GetTransactions_FullMethodName: {readOnchain},
	lnrpc.Lightning_SendCoins_FullMethodName:       {writeOnchain},

	lnrpc.Lightning_SubscribeTransactions_FullMethodName: {readOnchain},
	lnrpc.Lightning_EstimateFee_FullMethodName:           {readOnchain},

	lnrpc.Lightning_OpenChannel_FullMethodName:     {writeOnchain, writeOffchain},
	lnrpc.Lightning_OpenChannelSync_FullMethodName: {writeOnchain, writeOffchain},
	lnrpc.Lightning_CloseChannel_FullMethodName:    {writeOnchain, writeOffchain},
	lnrpc.Lightning_ListChannels_FullMethodName:    {readOffchain},
	lnrpc.Lightning_PendingChannels_FullMethodName: {readOffchain},
	lnrpc.Lightning_ClosedChannels_FullMethodName:  {readOffchain},
	lnrpc.Lightning_ChannelBalance_FullMethodName:  {readOffchain},

	lnrpc.Lightning_SubscribeChannelEvents_FullMethodName: {readOffchain},
	lnrpc.Lightning_FeeReport_FullMethodName:              {readOffchain},
	lnrpc.Lightning_ForwardingHistory_FullMethodName:      {readOffchain},

	lnrpc.Lightning_AddInvoice_FullMethodName:                  {writeInvoices},
	lnrpc.Lightning_LookupInvoice_FullMethodName:               {readInvoices},
	lnrpc.Lightning_ListInvoices_FullMethodName:                {readInvoices},
	lnrpc.Lightning_SubscribeInvoices_FullMethodName:           {readInvoices},
	invoicesrpc.Invoices_SubscribeSingleInvoice_FullMethodName: {readInvoices},
	invoicesrpc.Invoices_AddHoldInvoice_FullMethodName:         {writeInvoices},
	invoicesrpc.Invoices_SettleInvoice_FullMethodName:          {writeInvoices},
	invoicesrpc.Invoices_CancelInvoice_FullMethodName:          {writeInvoices},

	lnrpc.Lightning_DecodePayReq_FullMethodName:      {readOffchain},
	lnrpc.Lightning_ListPayments_FullMethodName:      {readOffchain},
	lnrpc.Lightning_DeletePayment_FullMethodName:     {writeOffchain},
	lnrpc.Lightning_DeleteAllPayments_FullMethodName: {writeOffchain},
	routerrpc.Router_SendPaymentV2_FullMethodName:    {writeOffchain},
	routerrpc.Router_TrackPaymentV2_FullMethodName:   {readOffchain},
	routerrpc.Router_TrackPayments_FullMethodName:    {readOffchain},

	debugrpc.Debug_Halted_FullMethodName:    {readInfo},
	debugrpc.Debug_Retry_FullMethodName:     {writeInfo},
	debugrpc.Debug_Drop_FullMethodName:      {writeOnchain, writeOffchain},
	debugrpc.Debug_LogLevels_FullMethodName: {writeInfo},
	debugrpc.Debug_Status_FullMethodName:    {readInfo, readOffchain, readPeers},
}

// role is who a macaroon of the daemon's own is for. The macaroons of lnd with these names allow the same.
type role string

const (
	admin    role = "admin"
	readonly role = "readonly"
	invoice  role = "invoice"
)

// allowed are the permissions of the roles. The admin's are all that any method needs.
var allowed = map[role][]permission{
	admin: {
		readOnchain, readOffchain, readAddress, readMessage, readPeers, readInfo, readInvoices, readSigner, readMacaroon,
		writeOnchain, writeOffchain, writeAddress, writeMessage, writePeers, writeInfo, writeInvoices, generateSigner,
		bakeMacaroon, writeMacaroon,
	},
	readonly: {
		readOnchain, readOffchain, readAddress, readMessage, readPeers, readInfo, readInvoices, readSigner, readMacaroon,
	},
	invoice: {readInvoices, writeInvoices, readAddress, writeAddress, readOnchain},
}
