import { Packr } from 'msgpackr';
import type { ClientTransport, NodeConnection } from '../../client/transport.js';
import type { PeerHandler, Peers } from '../../node/peers.js';
import type { CallOptions, ClientCalls, NodeCalls, RegisterCalls } from '../../proto/calls.js';
import {
  asTallyringError,
  type ErrorData,
  errorFromData,
  errorToData,
  TallyringError,
} from '../../proto/errors.js';
import { decodeReply, decodeRequest, encodeBody } from '../../proto/peer-message.js';
import type { Answered } from './checkers/deadlines.js';
import { Connections } from './connections.js';
import type { Serve, SimNetwork } from './network.js';
import type { SimProcess } from './process.js';

/**
 * Peer and client calls over the simulated network. Everything crosses it as bytes: `[0, result]` or
 * `[1, error]` in msgpack; the bodies of peers are encoded and checked by proto/peer-message.ts.
 */

const packr = new Packr({ int64AsType: 'bigint', useRecords: false });

const CLIENT_METHODS = [
  'describe',
  'mintProducer',
  'flush',
  'increment',
  'get',
  'stats',
  'shards',
  'columns',
  'acquireRegister',
  'writeRegister',
  'readRegister',
] as const;
type ClientMethod = (typeof CLIENT_METHODS)[number];

export async function frame(answer: () => Promise<Buffer>): Promise<Buffer> {
  try {
    return packr.pack([0, await answer()]);
  } catch (error) {
    return packr.pack([1, errorToData(asTallyringError(error))]);
  }
}

export function unframe(reply: Buffer): Buffer {
  const [kind, content] = packr.unpack(reply) as [number, Buffer | ErrorData];
  if (kind === 1) throw errorFromData(content as ErrorData);
  return content as Buffer;
}

/** What a node process answers to peers (`peer.KIND`) and to clients (`client.METHOD`). */
export function serveNode(
  node: { handlePeer: PeerHandler; calls: NodeCalls },
  watch?: { nowMs(): number; answered(call: Omit<Answered, 'nodeId'>): void },
): Serve {
  return (from, method, payload, timeoutMs) =>
    frame(async () => {
      const [side, name] = method.split('.') as [string, string];
      if (side === 'peer') {
        return encodeBody(await node.handlePeer(from, decodeRequest(name, payload), timeoutMs));
      }
      const args = packr.unpack(payload) as unknown[];
      const call = node.calls[name as ClientMethod] as (...args: unknown[]) => Promise<unknown>;
      const startMs = watch?.nowMs() ?? 0;
      const answer = await call.call(node.calls, ...args, { timeoutMs });
      watch?.answered({ method: name, answer, elapsedMs: watch.nowMs() - startMs, timeoutMs });
      return packr.pack([answer]);
    });
}

/** The peers of one node process. */
export function simPeers(network: SimNetwork, from: SimProcess): Peers {
  const connections = new Connections(network, from);
  let closed = false;
  return {
    async request(to, kind, body, timeoutMs) {
      if (closed) throw new TallyringError('CLOSED', 'the peers are closed');
      const method = `peer.${kind}`;
      const payload = encodeBody(body);
      const timedOut = () => new TallyringError('WRITE_TIMEOUT', `${to} did not answer ${kind}`);
      const reply = await watched(connections, to, () =>
        network.call({ from, to, method, payload, timeoutMs, timedOut }),
      );
      return decodeReply(kind, unframe(reply));
    },
    isConnected: (to) => connections.isConnected(to),
    async close() {
      closed = true;
    },
  };
}

async function watched(connections: Connections, to: string, call: () => Promise<Buffer>): Promise<Buffer> {
  try {
    const reply = await call();
    connections.succeeded(to);
    return reply;
  } catch (error) {
    if (asTallyringError(error).code === 'UNAVAILABLE') connections.broke(to);
    throw error;
  }
}

/** How a client process reaches nodes; `nodeAt` finds the node that listens on an address. */
export function simClientTransport(
  network: SimNetwork,
  from: SimProcess,
  nodeAt: (address: string) => string,
): ClientTransport {
  return {
    connect(address) {
      const to = nodeAt(address);
      let closed = false;
      const call = async (method: ClientMethod, args: unknown[], options: CallOptions): Promise<unknown> => {
        if (closed) throw new TallyringError('CLOSED', `the connection to ${address} is closed`);
        const reply = network.call({
          from,
          to,
          method: `client.${method}`,
          once: method === 'increment',
          payload: packr.pack(args),
          timeoutMs: options.timeoutMs,
          timedOut: () => timeoutOf(method, to),
        });
        const answer = packr.unpack(unframe(await orAborted(reply, options.signal))) as [unknown];
        return answer[0];
      };
      const calls = Object.fromEntries(
        CLIENT_METHODS.map((method) => [
          method,
          (...args: unknown[]) => call(method, args.slice(0, -1), args.at(-1) as CallOptions),
        ]),
      ) as unknown as ClientCalls & RegisterCalls;
      const connection: NodeConnection = {
        ...calls,
        address,
        close() {
          closed = true;
        },
      };
      return connection;
    },
  };
}

function timeoutOf(method: ClientMethod, to: string): TallyringError {
  const writes = method === 'flush' || method === 'increment';
  return new TallyringError(writes ? 'WRITE_TIMEOUT' : 'READ_TIMEOUT', `${to} did not answer ${method}`);
}

function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = () =>
      reject(new TallyringError('READ_TIMEOUT', 'the caller gave up waiting', { mayHaveApplied: true }));
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
