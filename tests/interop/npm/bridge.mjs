// Lets a test in Go call an npm client of lnd: each line of the input is a request, each line of the output its answer.
//
//   {"node": "ours", "call": "getIdentity", "args": {}} -> {"answer": {...}} or {"error": [...]}
//   {"node": "ours", "call": "subscribeToInvoices", "args": {}, "events": ["invoice_updated"]} -> {"answer": {"subscription": 0}}
//   {"node": "ours", "macaroon": base64, "call": ...} makes the call with another macaroon
//   {"next": 0} -> {"answer": {"event": "invoice_updated", "value": {...}}}, when there is one
//
// The first argument is the client's name. The second has the nodes: {"ours": {"cert": base64, "socket": "host:port"}, ...},
// with a macaroon in base64 for all calls but those about the wallet's state.
import {createInterface} from 'node:readline';

const {default: client} = await import(process.argv[2]);
const nodes = JSON.parse(process.argv[3]);
const lnds = {};
for (const [name, access] of Object.entries(nodes)) {
  lnds[name] = client.unauthenticatedLndGrpc(access).lnd;
  if (access.macaroon) {
    Object.assign(lnds[name], client.authenticatedLndGrpc(access).lnd);
  }
}

const subscriptions = [];

const subscribe = (emitter, events) => {
  const queue = {ready: [], waiting: []};
  const put = event => (queue.waiting.length ? queue.waiting.shift()(event) : queue.ready.push(event));
  for (const event of [...events, 'error']) {
    emitter.on(event, value => put({event, value}));
  }
  subscriptions.push(queue);
  return {subscription: subscriptions.length - 1};
};

const next = ({ready, waiting}) => ready.shift() ?? new Promise(resolve => waiting.push(resolve));

const answer = async request => {
  if (request.next !== undefined) {
    return next(subscriptions[request.next]);
  }
  const lnd = request.macaroon
    ? client.authenticatedLndGrpc({...nodes[request.node], macaroon: request.macaroon}).lnd
    : lnds[request.node];
  const result = client[request.call]({lnd, ...request.args});
  return request.events ? subscribe(result, request.events) : (await result) ?? {};
};

for await (const line of createInterface({input: process.stdin})) {
  let said;
  try {
    said = {answer: await answer(JSON.parse(line))};
  } catch (error) {
    said = {error: Array.isArray(error) ? error : [String(error?.stack ?? error)]};
  }
  process.stdout.write(JSON.stringify(said) + '\n');
}
process.exit(0);
