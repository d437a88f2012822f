import { describe, expect, it } from 'vitest';
import { clusterSchema } from '../../../node/config.js';
import { createMetrics } from '../../../node/metrics.js';
import { createNode, type TallyNode } from '../../../node/node.js';
import type { Peers } from '../../../node/peers.js';
import { MemoryDisk } from '../../../node/storage/memory-disk.js';
import { openMemoryStore } from '../../../node/storage/memory-store.js';
import type { Logger } from '../../../ports/logger.js';
import { TallyringError } from '../../../proto/errors.js';
import {
  decodeReply,
  decodeRequest,
  encodeBody,
  type PeerKind,
  type PeerRequest,
} from '../../../proto/peer-message.js';
import { SeededRandom } from '../../simulation/seeded-random.js';
import { VirtualTime } from '../../simulation/virtual-time.js';
import { shardEntry, totalOf } from '../quorum/world.js';

const SECOND = 1_000;
const IDS = ['a', 'b', 'c'];
const options = { timeoutMs: SECOND };
const QUORUM_READ: PeerRequest = {
  kind: 'read',
  body: { epoch: 1, one: false, queries: [totalOf()] },
};

/** Whole nodes in one process, under virtual time. */
class Nodes {
  readonly time = new VirtualTime(new SeededRandom('nodes'));
  readonly config = clusterSchema.parse({
    cluster: 'test',
    replication: { dc1: 3 },
    vnodes: 8,
    nodes: IDS.map((id, i) => ({ id, port: i + 1 })),
  });
  readonly disks = new Map(IDS.map((id) => [id, new MemoryDisk({ random: new SeededRandom(id) })]));
  readonly running = new Map<string, TallyNode>();
  readonly sent: { from: string; kind: PeerKind }[] = [];
  readonly warnings: string[] = [];
  delayOf: (call: { from: string; to: string; kind: PeerKind }) => number = () => 1;
  #generation = 0;

  async start(
    nodeId: string,
    start: { newCluster?: boolean; acceptLoss?: boolean } = {},
  ): Promise<TallyNode> {
    const { newCluster = false, acceptLoss = false } = start;
    const clock = this.time.clock();
    const { config, time } = this;
    const note = (_fields: object, message: string) => void this.warnings.push(`${nodeId}: ${message}`);
    const logger: Logger = { debug() {}, info() {}, warn: note, error: note };
    const metrics = createMetrics(nodeId);
    const node = createNode({
      config,
      nodeId,
      generation: ++this.#generation,
      newCluster,
      acceptLoss,
      clock,
      timers: time,
      random: new SeededRandom(`${nodeId}/${this.#generation}`),
      logger,
      metrics,
      peers: this.#peersOf(nodeId),
      openStore: (onCommit) =>
        openMemoryStore({
          cluster: 'test',
          nodeId,
          disk: this.disks.get(nodeId)!,
          limits: config.limits,
          durability: 'sync',
          clock,
          timers: time,
          logger,
          metrics,
          onCommit,
        }),
    });
    await time.settle(node.start());
    this.running.set(nodeId, node);
    return node;
  }

  async stop(nodeId: string): Promise<void> {
    const node = this.running.get(nodeId)!;
    const stopped = node.stop();
    await this.time.settle(stopped);
    this.running.delete(nodeId);
  }

  pass(ms: number): Promise<void> {
    return this.time.run(this.time.nowMs + ms);
  }

  status(nodeId: string): string {
    return this.running.get(nodeId)!.health().status;
  }

  #peersOf(from: string): Peers {
    return {
      request: (to, kind, body, timeoutMs) => {
        this.sent.push({ from, kind });
        const payload = encodeBody(body);
        return new Promise((resolve, reject) => {
          const refused = () => reject(new TallyringError('UNAVAILABLE', `${to} refuses`));
          if (!this.running.has(to)) return refused();
          const timer = this.time.after(timeoutMs, () => reject(new TallyringError('WRITE_TIMEOUT', kind)));
          this.time.after(this.delayOf({ from, to, kind }), () => {
            const node = this.running.get(to);
            if (node === undefined) return refused();
            node
              .handlePeer(from, decodeRequest(kind, payload), timeoutMs)
              .then((reply) => resolve(decodeReply(kind, encodeBody(reply))), reject)
              .finally(() => timer.cancel());
          });
        });
      },
      isConnected: (to) => this.running.has(to),
      close: async () => undefined,
    };
  }
}

async function cluster(): Promise<Nodes> {
  const nodes = new Nodes();
  for (const id of IDS) await nodes.start(id, { newCluster: true });
  await nodes.pass(3 * SECOND);
  return nodes;
}

const increment = (node: TallyNode, key = 'video', timeoutMs = SECOND) =>
  node.calls.increment([{ key, eventType: 'view', value: 1 }], 'QUORUM', { timeoutMs });
const count = async (nodes: Nodes, nodeId: string, key = 'video') => {
  const queries = [{ key, eventType: 'view' }];
  const [outcome] = await nodes.time.settle(nodes.running.get(nodeId)!.calls.get(queries, 'QUORUM', options));
  return 'ok' in outcome! ? Number(outcome.ok.count) : outcome!.error.code;
};

describe('a composed node', () => {
  it('is normal at once in a new cluster, counts, and is back at once when all restart', async () => {
    const nodes = await cluster();
    expect(IDS.map((id) => nodes.status(id))).toEqual(['normal', 'normal', 'normal']);
    expect(await nodes.time.settle(increment(nodes.running.get('a')!))).toEqual([{ ok: null }]);
    for (const id of IDS) await nodes.stop(id);
    for (const id of IDS) await nodes.start(id);
    await nodes.pass(3 * SECOND);
    expect(IDS.map((id) => nodes.status(id))).toEqual(['normal', 'normal', 'normal']);
    expect(await count(nodes, 'c')).toBe(1);
  });

  it('recovers when its disk was lost, and counts for no quorum read before', async () => {
    const nodes = await cluster();
    await nodes.time.settle(increment(nodes.running.get('a')!));
    await nodes.stop('b');
    nodes.disks.get('b')!.wipe();
    const b = await nodes.start('b');
    await nodes.pass(3 * SECOND);
    expect(nodes.status('b')).toBe('recovering');
    const answer = (await nodes.time.settle(b.handlePeer('a', QUORUM_READ, SECOND))) as { whole: boolean[] };
    expect(answer.whole).toEqual([false]);
    expect(await count(nodes, 'b')).toBe(1);
    await nodes.pass(15 * SECOND);
    expect(nodes.status('b')).toBe('normal');
    expect(await count(nodes, 'b')).toBe(1);
  });

  it('never says that it is whole when it is stopped while recovering', async () => {
    const nodes = await cluster();
    await nodes.time.settle(increment(nodes.running.get('a')!));
    await nodes.stop('b');
    await nodes.stop('c');
    nodes.disks.get('b')!.wipe();
    const b = await nodes.start('b'); // waits for c as well
    await nodes.pass(20 * SECOND);
    expect(nodes.status('b')).toBe('recovering');
    nodes.delayOf = ({ kind }) => (kind === 'gossipAck2' ? 900 : 1); // a goodbye takes its time
    const stopped = b.stop();
    for (let i = 0; i < 8; i++) {
      await nodes.pass(100);
      const reply = await nodes.time.settle(
        b.handlePeer('a', QUORUM_READ, SECOND).then(
          (answer) => (answer as { whole: boolean[] }).whole[0],
          () => false,
        ),
      );
      expect(reply).toBe(false);
    }
    await nodes.time.settle(stopped);
  });

  it('answers the increments that it has taken before it stops', async () => {
    const nodes = await cluster();
    const a = nodes.running.get('a')!;
    nodes.delayOf = ({ kind }) => (kind === 'merge' ? 300 : 1);
    const waiting = Array.from({ length: 20 }, (_, i) => increment(a, `video-${i}`));
    await nodes.pass(0);
    let answered = 0;
    for (const one of waiting) void one.then(() => answered++);
    await nodes.stop('a');
    expect(answered).toBe(waiting.length);
    expect((await Promise.all(waiting)).flat()).toEqual(waiting.map(() => ({ ok: null })));
    expect(await count(nodes, 'b', 'video-7')).toBe(1);
  });

  it('sends nothing, warns of nothing and leaves no timer behind once it was stopped', async () => {
    const nodes = await cluster();
    const a = nodes.running.get('a')!;
    await nodes.time.settle(increment(a));
    for (const id of ['b', 'c']) await nodes.stop(id);
    await nodes.time.settle(increment(a)); // in doubt or refused: something is left to send
    nodes.warnings.length = 0;
    await nodes.stop('a');
    const sent = nodes.sent.length;
    await nodes.pass(120 * SECOND);
    expect(nodes.sent).toHaveLength(sent);
    expect(nodes.warnings).toEqual([]);
    const { events } = nodes.time;
    await nodes.pass(600 * SECOND);
    expect(nodes.time.events).toBe(events);
    await expect(a.calls.describe(options)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('is not asked again about a loss that was accepted', async () => {
    const nodes = await cluster();
    await nodes.time.settle(increment(nodes.running.get('a')!));
    await nodes.pass(3 * SECOND);
    await nodes.stop('b');
    const old = nodes.disks.get('b')!.snapshot();
    await nodes.start('b');
    for (let i = 0; i < 5; i++) await nodes.time.settle(increment(nodes.running.get('a')!, `video-${i}`));
    await nodes.pass(3 * SECOND);
    await nodes.stop('b');
    nodes.disks.get('b')!.restore(old);
    await nodes.stop('c'); // never to come back: b cannot recover
    await nodes.start('b', { acceptLoss: true });
    await nodes.pass(SECOND);
    expect(nodes.status('b')).toBe('normal');
    await nodes.pass(5 * SECOND);
    await nodes.stop('b');
    await nodes.start('b');
    await nodes.pass(3 * SECOND);
    expect(nodes.status('b')).toBe('normal');
  });

  it('refuses what peers send before it is started and after it was stopped', async () => {
    const nodes = new Nodes();
    const a = await nodes.start('a', { newCluster: true });
    await nodes.stop('a');
    const merge = { kind: 'row', body: { epoch: 1, row: shardEntry({}).key } } as const;
    await expect(a.handlePeer('b', merge, SECOND)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(a.health().serving).toBe(false);
  });
});
