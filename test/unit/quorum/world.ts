import { clusterSchema, type Limits } from '../../../node/config.js';
import type { Gossiper } from '../../../node/gossip/gossiper.js';
import type { Facts, Membership } from '../../../node/gossip/membership.js';
import { createMetrics } from '../../../node/metrics.js';
import { PeerApi } from '../../../node/peer-api.js';
import type { Peers } from '../../../node/peers.js';
import type { NodeContext } from '../../../node/quorum/context.js';
import { RegisterMemory } from '../../../node/quorum/register-memory.js';
import { RegisterReplica } from '../../../node/quorum/register-replica.js';
import { Replica } from '../../../node/quorum/replica.js';
import { RegisterPeer } from '../../../node/register-peer.js';
import { PeerMemory } from '../../../node/repair/peer-memory.js';
import { openReplicaStore, type TreeStore } from '../../../node/repair/tree-store.js';
import { buildRing } from '../../../node/ring/build.js';
import type { Ring } from '../../../node/ring/ring.js';
import { MemoryDisk } from '../../../node/storage/memory-disk.js';
import { openMemoryStore } from '../../../node/storage/memory-store.js';
import { silentLogger } from '../../../ports/logger.js';
import { type Entry, encodeShard, shardKey, tokenOf } from '../../../proto/entry.js';
import { TallyringError } from '../../../proto/errors.js';
import { decodeReply, decodeRequest, encodeBody, type PeerKind } from '../../../proto/peer-message.js';
import { SeededRandom } from '../../simulation/seeded-random.js';
import { VirtualTime } from '../../simulation/virtual-time.js';

/** What becomes of a request; times in milliseconds. */
export type Fate = { delayMs?: number } | 'refused' | 'silent' | TallyringError;
export type FateOf = (call: { from: string; to: string; kind: PeerKind; sent: number }) => Fate | undefined;

export interface WorldOptions {
  /** Datacenter of each node; three nodes of one when absent. */
  nodes?: Record<string, string>;
  replication?: Record<string, number>;
  limits?: Partial<Limits>;
}

/** Some replicas of one cluster with real stores, under virtual time, and a network that does as told. */
export class World {
  readonly time = new VirtualTime(new SeededRandom('world'));
  readonly ring: Ring;
  readonly limits: Limits;
  readonly nodes: Record<string, TestNode> = {};
  /** Nodes that `isLive` denies. */
  readonly down = new Set<string>();
  readonly facts = new Map<string, Partial<Facts>>();
  readonly calls: { from: string; to: string; kind: PeerKind; atMs: number; batchBytes: number }[] = [];
  fate: FateOf = () => undefined;
  #sent = 0;

  static async open(options: WorldOptions = {}): Promise<World> {
    const world = new World(options);
    for (const { nodeId, datacenter } of world.ring.nodes) {
      world.nodes[nodeId] = await TestNode.open(world, nodeId, datacenter);
    }
    return world;
  }

  private constructor(options: WorldOptions) {
    const { nodes = { a: 'dc1', b: 'dc1', c: 'dc1' }, replication = { dc1: 3 } } = options;
    this.ring = buildRing({
      epoch: 1,
      nodes: Object.entries(nodes).map(([nodeId, datacenter]) => ({ nodeId, datacenter, rack: 'r1' })),
      vnodes: 8,
      replication,
    });
    const config = { cluster: 'test', replication: { dc1: 1 }, nodes: [{ id: 'a', port: 1 }] };
    this.limits = clusterSchema.parse({ ...config, limits: options.limits }).limits;
  }

  node(nodeId: string): TestNode {
    return this.nodes[nodeId]!;
  }

  /** The peers of one node. */
  peersOf(from: string): Peers {
    return {
      request: (to, kind, body, timeoutMs) => {
        const batchBytes = 'batch' in body ? (body.batch as Buffer).length : 0;
        this.calls.push({ from, to, kind, atMs: this.time.nowMs, batchBytes });
        const payload = encodeBody(body);
        const fate = this.fate({ from, to, kind, sent: this.#sent++ }) ?? {};
        return new Promise((resolve, reject) => {
          const timedOut = () => reject(new TallyringError('WRITE_TIMEOUT', `${to} did not answer ${kind}`));
          if (fate === 'refused') return reject(new TallyringError('UNAVAILABLE', `${to} refuses`));
          if (fate instanceof TallyringError) return reject(fate);
          const timer = this.time.after(timeoutMs, timedOut);
          if (fate === 'silent') return;
          const answer = async () => {
            const reply = await this.node(to).api.handle(from, decodeRequest(kind, payload));
            return decodeReply(kind, encodeBody(reply));
          };
          this.time.after(fate.delayMs ?? 1, () => {
            answer()
              .then(resolve, reject)
              .finally(() => timer.cancel());
          });
        });
      },
      isConnected: () => true,
      close: async () => undefined,
    };
  }

  membershipOf(nodeId: string): Membership {
    return {
      isLive: (id) => id === nodeId || (!this.down.has(id) && this.nodes[id] !== undefined),
      facts: (id) => this.facts.get(id),
      endpoints: () => [],
      declare: () => undefined,
    };
  }
}

export class TestNode {
  readonly nodeId: string;
  readonly disk: MemoryDisk;
  readonly context: NodeContext;
  readonly opened: TreeStore;
  readonly memory: PeerMemory;
  readonly api: PeerApi;
  readonly registers: RegisterReplica;
  /** What `heard` was told. */
  readonly heard: { nodeId: string; storeId: string; batch: number }[] = [];
  whole = true;
  toldBatch: (() => number) | undefined;

  static async open(world: World, nodeId: string, datacenter: string): Promise<TestNode> {
    const disk = new MemoryDisk({ random: new SeededRandom(nodeId) });
    const opened = await openStore(world, nodeId, disk);
    const registerMemory = await RegisterMemory.load(opened.store.local, nodeId);
    return new TestNode(world, { nodeId, datacenter, disk, opened, registerMemory });
  }

  private constructor(
    world: World,
    parts: {
      nodeId: string;
      datacenter: string;
      disk: MemoryDisk;
      opened: TreeStore;
      registerMemory: RegisterMemory;
    },
  ) {
    const { nodeId, datacenter, disk, opened, registerMemory } = parts;
    this.nodeId = nodeId;
    this.disk = disk;
    this.opened = opened;
    const { store, tree } = opened;
    this.context = {
      nodeId,
      datacenter,
      limits: world.limits,
      clock: world.time.clock(),
      timers: world.time,
      logger: silentLogger,
      metrics: createMetrics(nodeId),
      peers: world.peersOf(nodeId),
      membership: world.membershipOf(nodeId),
      replica: new Replica(store, () => this.whole, world.limits.maxBatchBytes),
      ring: () => world.ring,
      replicates: (key, other) => tree.sharedBy(key, nodeId, other),
      heard: (id, storeId, batch) => {
        this.heard.push({ nodeId: id, storeId, batch });
        this.memory.heard(id, storeId, batch);
      },
    };
    this.registers = new RegisterReplica({
      store,
      memory: registerMemory,
      nodeId,
      limits: world.limits,
      isWhole: () => this.whole,
    });
    this.memory = new PeerMemory({ local: store.local, timers: world.time, logger: silentLogger });
    this.api = new PeerApi({
      context: this.context,
      gossiper: { handleSyn: () => Buffer.from('ack'), handleAck2: () => undefined } as unknown as Gossiper,
      tree,
      memory: this.memory,
      registers: new RegisterPeer(this.context, this.registers),
      toldBatch: () => this.toldBatch?.() ?? store.syncedBatch,
    });
  }

  async entries(): Promise<Entry[]> {
    const [read] = await this.context.replica.store.read([{ from: Buffer.from([1]), to: Buffer.from([2]) }]);
    return read!.entries;
  }

  /** What it holds, as text that compares. */
  async content(): Promise<string[]> {
    return (await this.entries()).map(({ key, value }) => `${key.toString('hex')}=${value.toString('hex')}`);
  }
}

export function openStore(
  world: Pick<World, 'time' | 'ring' | 'limits'>,
  nodeId: string,
  disk: MemoryDisk,
): Promise<TreeStore> {
  const open = (onCommit: Parameters<Parameters<typeof openReplicaStore>[0]>[0]) =>
    openMemoryStore({
      cluster: 'test',
      nodeId,
      disk,
      limits: world.limits,
      durability: 'sync',
      clock: world.time.clock(),
      timers: world.time,
      logger: silentLogger,
      metrics: createMetrics(nodeId),
      onCommit,
    });
  return openReplicaStore(open, world.ring);
}

export interface ShardSpec {
  key?: string;
  sequence?: number;
  count?: number;
  /** Hour; the total when absent. */
  hour?: number;
  producer?: number;
}

export function shardEntry({ key = 'video', sequence = 1, count, hour, producer = 1 }: ShardSpec): Entry {
  const place = { key, eventType: 'view' };
  const cell = { ...place, granularity: hour === undefined ? 'total' : 'hour', window: hour ?? 0 } as const;
  const n = count ?? sequence;
  const shard = { sequence, count: n, sum: n, min: 1, max: 1 };
  return encodeShard(shardKey(cell, tokenOf(key), Buffer.alloc(16, producer)), shard);
}

/** The query of a key's total, and what it answers when it is read. */
export const totalOf = (key = 'video') =>
  ({ key, eventType: 'view', granularity: 'total', fromWindow: 0, toWindow: 1 }) as const;
