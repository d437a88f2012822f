import { Client, type ClientDuplexStream, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { clusterSchema } from '../../../node/config.js';
import type { GrpcPeers } from '../../../node/transport/peers.js';
import type { NodeServer } from '../../../node/transport/server.js';
import { TallyringError } from '../../../proto/errors.js';
import { type Malformed, peerService } from '../../../proto/load.js';
import type { WirePeerFrame } from '../../../proto/messages.js';
import { encodeBody } from '../../../proto/peer-message.js';
import { ALL_CODES, clusterOf, peersOf, rejection, startServer, until } from '../../unit/transport/fakes.js';

const open: { close(): Promise<void> }[] = [];
const kept = <T extends GrpcPeers | NodeServer>(closable: T): T => {
  open.push(closable);
  return closable;
};
afterEach(async () => {
  await Promise.all(open.splice(0).map((closable) => closable.close()));
});

const syn = (text: string) => ({ syn: Buffer.from(text) });

describe('peers over gRPC', () => {
  it('answers in any order, each request its own', async () => {
    const config = clusterOf(21_000);
    const held: (() => void)[] = [];
    kept(
      await startServer(config, {
        handlePeer: (from, request) =>
          new Promise((resolve) => {
            const asked = request.kind === 'gossipSyn' ? request.body.syn.toString() : '';
            held.unshift(() => resolve({ ack: Buffer.from(`${from} ${asked}`) }));
            if (held.length === 3) for (const release of held) release();
          }),
      }),
    );
    const peers = kept(peersOf(config, 'n2'));
    const replies = ['a', 'b', 'c'].map((text) => peers.request('n1', 'gossipSyn', syn(text), 2_000));
    expect((await Promise.all(replies)).map(({ ack }) => ack.toString())).toEqual(['n2 a', 'n2 b', 'n2 c']);
  });

  it('carries every error code and its facts', async () => {
    const config = clusterOf(21_002);
    let next = 0;
    kept(
      await startServer(config, {
        handlePeer: async () => {
          throw new TallyringError(ALL_CODES[next++]!, 'why', { required: 2, received: 1, live: 1 });
        },
      }),
    );
    const peers = kept(peersOf(config, 'n2'));
    for (const code of ALL_CODES) {
      const error = await rejection(peers.request('n1', 'gossipSyn', syn(''), 2_000));
      const { mayHaveApplied, retryable } = new TallyringError(code, '');
      expect(error).toMatchObject({ code, required: 2, received: 1, live: 1, mayHaveApplied, retryable });
    }
  });

  it('refuses at once when nobody listens, with nothing applied', async () => {
    const peers = kept(peersOf(clusterOf(21_004), 'n2'));
    expect(peers.isConnected('n1')).toBe(true);
    const startedAt = performance.now();
    const error = await rejection(peers.request('n1', 'merge', { epoch: 1, batch: Buffer.alloc(5) }, 9_000));
    expect(error).toMatchObject({ code: 'UNAVAILABLE', mayHaveApplied: false, retryable: true });
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    expect(peers.isConnected('n1')).toBe(false);
  });

  it('gives up at the deadline, in doubt, and stays connected', async () => {
    const config = clusterOf(21_006);
    let timeoutSeen = 0;
    kept(
      await startServer(config, {
        handlePeer: (_, request, timeoutMs) => {
          timeoutSeen = timeoutMs;
          return request.kind === 'merge'
            ? new Promise(() => undefined)
            : Promise.resolve({ ack: Buffer.from('ok') });
        },
      }),
    );
    const peers = kept(peersOf(config, 'n2'));
    await peers.request('n1', 'gossipSyn', syn(''), 2_000);
    const startedAt = performance.now();
    const error = await rejection(peers.request('n1', 'merge', { epoch: 1, batch: Buffer.alloc(5) }, 200));
    expect(error).toMatchObject({ code: 'WRITE_TIMEOUT', mayHaveApplied: true });
    expect(timeoutSeen).toBe(200);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(199);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    expect(peers.isConnected('n1')).toBe(true);
    await peers.request('n1', 'gossipSyn', syn(''), 2_000);
  });

  it('refuses over its bound on bytes per peer and in all, sends nothing of that, and recovers', async () => {
    const limits = { maxPeerQueueBytes: 100_000, maxTotalQueueBytes: 150_000 };
    const config = clusterOf(21_010, { nodes: 3, limits });
    const seen: number[] = [];
    const held: (() => void)[] = [];
    const handlePeer = (_: string, request: { body: object }) => {
      seen.push((request.body as { batch: Buffer }).batch.length);
      return new Promise<object>((resolve) => held.push(() => resolve({ storeId: 's', batch: 1 })));
    };
    kept(await startServer(config, { handlePeer }));
    kept(await startServer(config, { handlePeer, nodeId: 'n2' }));
    const peers = kept(peersOf(config, 'n3'));
    const merge = (nodeId: string, bytes: number) =>
      peers.request(nodeId, 'merge', { epoch: 1, batch: Buffer.alloc(bytes) }, 5_000);
    const taken = [merge('n1', 60_000), merge('n1', 30_000)];
    expect(await rejection(merge('n1', 20_000))).toMatchObject({
      code: 'OVERLOADED',
      mayHaveApplied: false,
      retryable: true,
    });
    taken.push(merge('n2', 50_000));
    expect((await rejection(merge('n2', 20_000))).message).toContain('maxTotalQueueBytes');
    await until(() => held.length === 3);
    expect(seen.toSorted((a, b) => a - b)).toEqual([30_000, 50_000, 60_000]);
    for (const release of held) release();
    await Promise.all(taken);
    const after = merge('n1', 99_000);
    await until(() => held.length === 4);
    held[3]!();
    expect(await after).toEqual({ storeId: 's', batch: 1 });
  });

  it('refuses a message over limits.maxBatchBytes on either side and stays connected', async () => {
    const config = clusterOf(21_014, { limits: { maxBatchBytes: 1_000 } });
    const handlePeer = async () => ({ whole: true, batch: Buffer.alloc(2_000_000) });
    kept(await startServer(config, { handlePeer }));
    const peers = kept(peersOf(config, 'n2'));
    const big = peers.request('n1', 'merge', { epoch: 1, batch: Buffer.alloc(1_000_000) }, 2_000);
    expect((await rejection(big)).code).toBe('INVALID_ARGUMENT');
    const bigReply = peers.request('n1', 'row', { epoch: 1, row: Buffer.alloc(1) }, 2_000);
    expect(await rejection(bigReply)).toMatchObject({ code: 'OVERLOADED', retryable: false });
    expect(peers.isConnected('n1')).toBe(true);
  });

  it('refuses a node of another cluster in words, and one that cluster.yml does not know', async () => {
    const config = clusterOf(21_016);
    kept(await startServer(config));
    const stranger = kept(peersOf(clusterSchema.parse({ ...config, cluster: 'other' }), 'n2'));
    const error = await rejection(stranger.request('n1', 'gossipSyn', syn(''), 2_000));
    expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', mayHaveApplied: false });
    expect(error.message).toContain('cluster test, not other');
    expect(stranger.isConnected('n1')).toBe(false);
    const peers = kept(peersOf(config, 'n2'));
    expect((await rejection(peers.request('n9', 'gossipSyn', syn(''), 1_000))).code).toBe(
      'FAILED_PRECONDITION',
    );
  });

  it('closes: what waits and what comes later is CLOSED', async () => {
    const config = clusterOf(21_018);
    let asked = 0;
    kept(await startServer(config, { handlePeer: () => new Promise(() => asked++) }));
    const peers = peersOf(config, 'n2');
    const waiting = rejection(peers.request('n1', 'gossipSyn', syn(''), 5_000));
    await until(() => asked === 1);
    await peers.close();
    expect((await waiting).code).toBe('CLOSED');
    expect(peers.isConnected('n1')).toBe(false);
    await expect(peers.request('n1', 'gossipSyn', syn(''), 5_000)).rejects.toThrow(TallyringError);
  });
});

type RawStream = ClientDuplexStream<WirePeerFrame | Buffer, WirePeerFrame | Malformed>;

/** A stream whose frames are written byte by byte, as a broken or newer peer might. */
function rawStream(port: number, opening: Record<string, string> = {}) {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const metadata = new Metadata();
  const fields = { cluster: 'test', node: 'n2', target: 'n1', format: '1', ...opening };
  for (const [name, value] of Object.entries(fields)) metadata.set(`tallyring-${name}`, value);
  const { path, requestSerialize, responseDeserialize } = peerService.Exchange;
  const serialize = (frame: WirePeerFrame | Buffer) =>
    Buffer.isBuffer(frame) ? frame : requestSerialize(frame);
  const stream: RawStream = client.makeBidiStreamRequest(path, serialize, responseDeserialize, metadata);
  const replies: WirePeerFrame[] = [];
  const errors: ServiceError[] = [];
  stream.on('data', (frame: WirePeerFrame) => replies.push(frame));
  stream.on('error', (error: ServiceError) => errors.push(error));
  open.push({ close: async () => client.close() });
  return { stream, replies, errors };
}

describe('a peer that talks nonsense', () => {
  const body = encodeBody(syn('x'));
  const frame = (fields: Partial<WirePeerFrame>) => ({
    id: 7,
    kind: 'gossipSyn',
    timeoutMs: 1_000,
    body,
    ...fields,
  });
  const encoded = peerService.Exchange.requestSerialize(frame({}));
  const table: [string, WirePeerFrame | Buffer, number, RegExp][] = [
    ['a body that is cut short', frame({ body: body.subarray(0, body.length - 1) }), 7, /decode|malformed/],
    ['an empty body', frame({ body: Buffer.alloc(0) }), 7, /decode|malformed/],
    ['a field of the wrong type', frame({ body: encodeBody({ syn: 'text' }) }), 7, /syn/],
    ['a field too many', frame({ body: encodeBody({ ...syn(''), more: 1 }) }), 7, /malformed/],
    ['an unknown kind', frame({ kind: 'melt' }), 7, /unknown peer request melt/],
    ['a kind of the object prototype', frame({ kind: 'toString' }), 7, /unknown peer request/],
    ['a frame that is cut short', encoded.subarray(0, encoded.length - 2), 0, /cut short/],
    ['a frame with a wrong wire type', Buffer.from([0x0d, 1, 2, 3, 4]), 0, /wrong type/],
  ];

  it('gets a typed error for each, and the stream goes on', async () => {
    kept(await startServer(clusterOf(21_020), { handlePeer: async () => ({ ack: Buffer.from('fine') }) }));
    const { stream, replies, errors } = rawStream(21_020);
    for (const [i, [, message, id, text]] of table.entries()) {
      stream.write(message);
      await until(() => replies.length === i + 1);
      expect(replies[i]).toMatchObject({ id, error: { code: 'INVALID_ARGUMENT' } });
      expect(replies[i]?.error?.message).toMatch(text);
    }
    stream.write(frame({ id: 8 }));
    await until(() => replies.length === table.length + 1);
    expect(replies.at(-1)).toMatchObject({ id: 8, body: encodeBody({ ack: Buffer.from('fine') }) });
    expect(errors).toEqual([]);
  });

  it('gets no answer to a request whose time is over', async () => {
    let asked = 0;
    const handlePeer = async () => ({ ack: Buffer.from(String(asked++)) });
    kept(await startServer(clusterOf(21_022), { handlePeer }));
    const { stream, replies } = rawStream(21_022);
    stream.write(frame({ id: 1, timeoutMs: 0 }));
    stream.write(frame({ id: 2 }));
    await until(() => replies.length === 1);
    expect(replies[0]?.id).toBe(2);
    expect(asked).toBe(1);
  });

  const openings: [string, Record<string, string>, string, RegExp][] = [
    ['another cluster', { cluster: 'other' }, 'FAILED_PRECONDITION', /of cluster test, not other/],
    ['no cluster', { cluster: '' }, 'FAILED_PRECONDITION', /none named/],
    ['another target', { target: 'n2' }, 'FAILED_PRECONDITION', /this is node n1, not n2/],
    ['the same nodeId', { node: 'n1' }, 'FAILED_PRECONDITION', /calls itself n1/],
    ['an unknown node', { node: 'n77' }, 'FAILED_PRECONDITION', /n77 is not in the cluster.yml/],
    ['a newer format', { format: '2' }, 'UNSUPPORTED_FORMAT', /newer than 1.*upgrade/],
    ['no format', { format: 'x' }, 'FAILED_PRECONDITION', /names no format/],
  ];
  it.each(openings)('is refused: %s', async (_, opening, code, text) => {
    kept(await startServer(clusterOf(21_024)));
    const { errors } = rawStream(21_024, opening);
    await until(() => errors.length === 1);
    expect(errors[0]?.code).toBe(9);
    expect(errors[0]?.details).toMatch(text);
    expect(String(errors[0]?.metadata.get('tallyring-error')[0])).toContain(`"${code}"`);
  });
});

describe('a peer that restarts', () => {
  it('is found again within two seconds, at once when it opens its own stream', async () => {
    const config = clusterOf(21_030);
    const handlePeer = async () => ({ ack: Buffer.from('ok') });
    const first = await startServer(config, { handlePeer });
    const peers = kept(peersOf(config, 'n2'));
    await peers.request('n1', 'gossipSyn', syn(''), 2_000);
    await first.close();
    await until(() => !peers.isConnected('n1'));
    kept(await startServer(config, { handlePeer }));
    peers.reconnectNow('n1');
    const startedAt = performance.now();
    await until(() => peers.isConnected('n1'));
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    await peers.request('n1', 'gossipSyn', syn(''), 2_000);
  });
});
