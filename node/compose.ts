import type { ClusterDescription } from '../proto/calls.js';
import { asTallyringError } from '../proto/errors.js';
import { ClientApi } from './client-api.js';
import { type ClusterConfig, type NodeConfig, VERSION } from './config.js';
import { configHash } from './gossip/admission.js';
import { Gossiper } from './gossip/gossiper.js';
import type { Facts } from './gossip/membership.js';
import { Load } from './load.js';
import { Mint } from './mint.js';
import type { NodeHealth, NodeParts } from './node.js';
import { type NodeState, OperatorApi } from './operator-api.js';
import { PeerApi } from './peer-api.js';
import type { NodeContext } from './quorum/context.js';
import { PlainCounting } from './quorum/plain-counting.js';
import { Reads } from './quorum/reads.js';
import { RegisterMemory } from './quorum/register-memory.js';
import { RegisterReplica } from './quorum/register-replica.js';
import { Registers } from './quorum/registers.js';
import { Replica } from './quorum/replica.js';
import { Writes } from './quorum/writes.js';
import { RegisterApi } from './register-api.js';
import { RegisterPeer } from './register-peer.js';
import { AntiEntropy } from './repair/anti-entropy.js';
import { Exchange } from './repair/exchange.js';
import { HintReplay } from './repair/hint-replay.js';
import { PeerMemory } from './repair/peer-memory.js';
import { Recovery } from './repair/recovery.js';
import { Reentry } from './repair/reentry.js';
import { Scrub } from './repair/scrub.js';
import { ShardCensus } from './repair/shard-census.js';
import { openReplicaStore, type TreeStore } from './repair/tree-store.js';
import { buildRing, type TokenRing } from './ring/build.js';
import { ownership } from './ring/ownership.js';
import { HintStore } from './storage/hints.js';
import { replaces } from './storage/kinds.js';
import type { Store } from './storage/store.js';

/** A node's parts, wired. */
export interface ComposedNode {
  client: ClientApi;
  operator: OperatorApi;
  register: RegisterApi;
  peer: PeerApi;
  start(): void;
  stop(): Promise<void>;
  health(): NodeHealth;
}

/** Opens the store and wires every part of a node to its world. The one place that knows them all. */
export async function composeNode(parts: NodeParts): Promise<ComposedNode> {
  const ring = ringOf(parts.config);
  const opened = await openReplicaStore(parts.openStore, ring);
  try {
    return await wire(parts, ring, opened);
  } catch (error) {
    await opened.store.close(); // nobody else will
    throw error;
  }
}

async function wire(parts: NodeParts, ring: TokenRing, opened: TreeStore): Promise<ComposedNode> {
  const { config, nodeId, clock, timers, random, logger, metrics, peers } = parts;
  const { limits } = config;
  const self = config.nodes.find((node) => node.id === nodeId)!;
  const { opening, store, tree, entries, refreshLeaf } = opened;
  const openedAtBatch = store.syncedBatch;
  const isNew = opening.created && parts.newCluster;
  // At once: a node that is killed right after its first start must not come back as one that lost its store.
  if (isNew) await store.declareWhole();
  const startedMs = clock.monotonicMs();
  const load = new Load();
  let whole = false;

  const memory = new PeerMemory({ local: store.local, timers, logger });
  await memory.load();
  const storeState = (): Facts['storeState'] => (store.failure === undefined ? 'ok' : 'failed');
  const refresh = (): Partial<Facts> => {
    for (const { nodeId: id, facts } of gossiper.endpoints()) {
      if (id !== nodeId && facts.storeId !== undefined && facts.syncedBatch !== undefined) {
        memory.heard(id, facts.storeId, facts.syncedBatch);
      }
    }
    metrics.storeEntries.set(entries());
    for (const name of ['ok', 'failed'])
      metrics.storeState.set({ state: name }, storeState() === name ? 1 : 0);
    return {
      wallMs: clock.wallMs(),
      storeId: store.storeId,
      syncedBatch: recovery.toldBatch,
      storeState: storeState(),
      load: load.perSecond(client.calls, clock.monotonicMs()),
    };
  };
  const gossiper = new Gossiper({
    cluster: config.cluster,
    configHash: configHash(config),
    nodeId,
    generation: parts.generation,
    facts: firstFacts(self, config, { store, wallMs: clock.wallMs() }),
    seeds: seedsOf(config),
    knownNodes: config.nodes.map((node) => node.id),
    config: config.gossip,
    refresh,
    clock,
    timers,
    random,
    peers,
    logger,
    metrics,
  });
  const context: NodeContext = {
    nodeId,
    datacenter: self.datacenter,
    limits,
    clock,
    timers,
    logger,
    metrics,
    peers,
    membership: gossiper,
    replica: new Replica(store, () => whole, limits.maxBatchBytes),
    ring: () => ring,
    replicates: (key, other) => tree.sharedBy(key, nodeId, other),
    heard: (id, storeId, batch) => memory.heard(id, storeId, batch),
  };
  const registerMemory = await RegisterMemory.load(store.local, nodeId);
  const registerReplica = new RegisterReplica({
    store,
    memory: registerMemory,
    nodeId,
    limits,
    isWhole: () => whole,
  });
  const mint = new Mint({ clock, random, membership: gossiper });
  const hints = await HintStore.open({ records: store.local, limits, clock, metrics });
  const hintReplay = new HintReplay(context, hints);
  const writes = new Writes(context, (id, missed) => hintReplay.keep(id, missed));
  const reads = new Reads(context, replaces);
  const { rollups } = config;
  const counting = new PlainCounting({
    context,
    writes,
    rollups,
    mint: (above) => mint.mint('node', above),
  });
  const census = new ShardCensus(limits.maxShardsPerCell);
  const antiEntropy = new AntiEntropy({
    context,
    tree,
    random,
    onEqual: (peer) => hintReplay.foundEqual(peer),
  });
  const scrub = new Scrub(context, { census, refreshLeaf });
  const recovery = new Recovery({
    context,
    exchange: new Exchange(context, limits.recoveryEntriesPerSecond),
    openedAtBatch,
    reentry: new Reentry(context, registerMemory),
    doubts: [...doubtsOf(opening), ...registerMemory.doubts],
    declaredWhole: isNew,
    lossAccepted: parts.acceptLoss === true,
    renewStore: async (doubts) => {
      await store.renew(doubts);
      gossiper.declare({ storeId: store.storeId });
    },
    declareWhole: (formerIds) => store.declareWhole(formerIds),
  });
  const describe = (): ClusterDescription => ({
    cluster: config.cluster,
    ringEpoch: ring.epoch,
    vnodes: config.vnodes,
    replication: config.replication,
    rollups,
    nodes: config.nodes.map(({ id, host, port, datacenter, rack }) => ({
      nodeId: id,
      host,
      port,
      datacenter,
      rack,
      up: gossiper.isLive(id),
      status: gossiper.facts(id)?.status ?? 'unknown',
    })),
    nodeId,
    maxBatchBytes: limits.maxBatchBytes,
  });
  const status = () => (whole ? 'normal' : 'recovering');
  const owned = ownership(ring);
  const state = (): NodeState => ({
    cluster: config.cluster,
    version: VERSION,
    status: status(),
    waitsFor: recovery.waitsFor,
    storeState: storeState(),
    entries: entries(),
    uptimeMs: clock.monotonicMs() - startedMs,
    memoryBytes: parts.memoryBytes?.() ?? 0,
    hints: Object.fromEntries(hints.targets().map((target) => [target, hints.stats(target).entries])),
    ownership: owned,
    ring: describe(),
  });
  const client = new ClientApi({
    context,
    writes,
    reads,
    counting,
    rollups,
    describe,
    mint: (kind, above) => mint.mint(kind, above),
    isFull: (key) => census.isFull(key),
  });
  const steady = [memory, hintReplay, antiEntropy, scrub];

  return {
    client,
    operator: new OperatorApi({ context, membership: gossiper, rollups, state }),
    register: new RegisterApi(context, new Registers(context, registerReplica, random)),
    peer: new PeerApi({
      context,
      gossiper,
      tree,
      memory,
      registers: new RegisterPeer(context, registerReplica),
      toldBatch: () => recovery.toldBatch,
    }),
    start: () => {
      gossiper.start();
      for (const part of steady) part.start();
      recovery.run().then(
        (isWhole) => {
          if (!isWhole) return;
          whole = true;
          gossiper.declare({ status: 'normal' });
          logger.info({ nodeId }, 'this node is normal');
        },
        (error: unknown) => logger.error({}, `recovery failed: ${asTallyringError(error).message}`),
      );
    },
    stop: async () => {
      recovery.stop();
      for (const part of steady) part.stop();
      await counting.close();
      await gossiper.stop();
      await store.close();
    },
    health: () => ({ serving: storeState() === 'ok', status: status(), storeState: storeState() }),
  };
}

/** What a node says of itself before the first round. */
function firstFacts(
  self: NodeConfig,
  config: ClusterConfig,
  { store, wallMs }: { store: Store; wallMs: number },
): Facts {
  const { host, port, datacenter, rack } = self;
  return {
    status: 'recovering',
    host,
    port,
    datacenter,
    rack,
    ringEpoch: 1,
    storeId: store.storeId,
    syncedBatch: store.syncedBatch,
    storeState: 'ok',
    wallMs,
    load: 0,
    version: VERSION,
    configHash: configHash(config),
  };
}

/** Epoch 1 is exactly the nodes of cluster.yml, so a fresh cluster has no bootstrap race. */
function ringOf(config: ClusterConfig): TokenRing {
  return buildRing({
    epoch: 1,
    nodes: config.nodes.map(({ id, datacenter, rack }) => ({ nodeId: id, datacenter, rack })),
    vnodes: config.vnodes,
    replication: config.replication,
  });
}

function seedsOf(config: ClusterConfig): string[] {
  const seeds = config.nodes.filter((node) => node.seed);
  return (seeds.length > 0 ? seeds : config.nodes).map((node) => node.id);
}

function doubtsOf(opening: { created: boolean; doubts: readonly string[] }): string[] {
  return opening.created
    ? ['the store is new, and nobody said that the cluster is', ...opening.doubts]
    : [...opening.doubts];
}
