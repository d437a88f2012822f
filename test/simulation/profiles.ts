import type { SimConfiguration } from './configuration.js';
import { PERFECT_NETWORK } from './network.js';
import { type PipelineConfiguration, strikesOf, withPipeline } from './pipeline/configuration.js';

/** Changes what a seed decided, so that every seed looks at one kind of trouble. */
export type Profile = (config: SimConfiguration) => void;

const HOUR_MS = 3_600_000;

/** Three nodes, few counters, many readers, nothing goes wrong; what a profile is about is then switched on. */
function calm(config: SimConfiguration): void {
  config.cluster.nodes = config.cluster.nodes.slice(0, 3);
  config.faultEveryMs = {};
  config.network = { ...PERFECT_NETWORK, maxDelayMs: 2 };
  config.safetyMs = 6_000;
  config.keys = 2;
  config.eventTypes = ['view'];
  config.negativeValues = false;
  config.sdkClients = 2;
  config.plainClients = 1;
  config.readers = 3;
  config.registerOwners = 0;
  config.partitionShapes = ['isolate one', 'halves'];
  config.rate = 10;
  config.levels = ['QUORUM'];
}

/**
 * Nothing but reads and the client's retries brings a replica what it missed, until anti-entropy comes
 * round, late: so what is wrong with quorums shows before repair hides it.
 */
function hardlyRepaired({ cluster: { limits } }: SimConfiguration): void {
  limits.maxHintBytesPerTarget = 1;
  limits.antiEntropyIntervalMs = 15_000;
}

/** Only these faults, on a network that loses a fifth of the messages, with replicas that stay different. */
function lossy(faultEveryMs: SimConfiguration['faultEveryMs']): Profile {
  return (config) => {
    calm(config);
    hardlyRepaired(config);
    config.network.lossRate = 0.2;
    config.faultEveryMs = faultEveryMs;
  };
}

/**
 * Stores lose what they acknowledged, while others lack it: a link takes one message at a time and refuses the
 * next, so replicas miss writes all the time, yet whoever asks again soon gets through. Many counters, each seldom
 * written and read. Requests are short, so that a store is soon whole again and can be lost once more.
 */
function storesLost(faultEveryMs: SimConfiguration['faultEveryMs']): Profile {
  return (config) => {
    calm(config);
    hardlyRepaired(config);
    config.faultEveryMs = faultEveryMs;
    config.network.maxDelayMs = 12;
    config.keys = 20;
    config.readers = 4;
    config.safetyMs = 10_000;
    config.cluster.rollups = ['total'];
    config.cluster.limits.maxPeerQueueBytes = 1;
    config.cluster.limits.maxRequestMs = 400;
    config.cluster.limits.defaultRequestMs = 400;
  };
}

/** Owners contend for registers; a link refuses a second message, so replicas are often different. */
function registers(): Profile {
  return (config) => {
    storesLost({})(config);
    config.sdkClients = 0;
    config.plainClients = 0;
    config.readers = 0;
    config.registerOwners = 4;
  };
}

/** Processing instances take over from each other all the time. */
function pipeline(changes: Partial<PipelineConfiguration> = {}): Profile {
  return (config) => {
    lossy({ kill: 8_000 })(config);
    config.network.lossRate = 0.01;
    config.readers = 0;
    config.cluster.replication = { dc1: 3 };
    config.replicas = 3;
    config.safetyMs = 10_000;
    for (const node of config.cluster.nodes) node.datacenter = 'dc1';
    withPipeline(config);
    const never = Number.POSITIVE_INFINITY;
    Object.assign(config.pipeline!, {
      instances: 3,
      partitions: 2,
      dedupWindows: [400],
      flushIntervalMs: 50,
      maxBatchRecords: 1_000,
      rate: 15,
      retentionMs: 500,
      repeatRate: 0.1,
      withoutId: 0,
      malformed: 0.03,
      hugeValues: 0,
      killEveryMs: 3_000,
      stallEveryMs: 2_000,
      stopEveryMs: never,
      logKillEveryMs: 5_000,
      logStallEveryMs: never,
      strikes: strikesOf({ kill: 0.04, stall: 0.02 }),
      takeOverAfterMs: 400,
      ...changes,
    });
  };
}

/**
 * A node is cut off from its peers, not from the instances, as it takes an intent, and the writer dies: it alone holds
 * the newest checkpoint. Whoever takes it over from there dies as well, when it has flushed.
 */
function loneReplicas(changes: Partial<PipelineConfiguration>): Profile {
  return (config) => {
    const never = Number.POSITIVE_INFINITY;
    const calmly = { killEveryMs: never, stallEveryMs: never, logKillEveryMs: never, retentionMs: HOUR_MS };
    pipeline({ ...calmly, ...changes })(config);
    config.faultEveryMs = {};
    config.network.lossRate = 0;
    config.cluster.rollups = ['total'];
    config.safetyMs = 20_000;
  };
}

export const PROFILES = {
  /** Messages get lost; nodes and disks do not. */
  'lost messages': lossy({}),
  /** Nodes die while their disks take long to sync. */
  'kills during slow syncs': lossy({ 'slow disk': 400, kill: 600 }),
  /** As before; requests arrive twice, so that the second meets the first on its way to the disk. */
  'duplicates during slow syncs': (config) => {
    lossy({ 'slow disk': 400, kill: 600 })(config);
    config.network.duplicateRate = 0.5;
  },
  /** Replicas miss writes all the time, and clients get through. */
  'busy links': (config) => {
    storesLost({})(config);
    config.keys = 4;
  },
  'busy links, slow disks': (config) => {
    storesLost({ 'slow disk': 250 })(config);
    config.keys = 4;
  },
  kills: lossy({ kill: 700 }),
  'kills, busy links': storesLost({ kill: 600 }),
  /** By schedule: what waits for a slow disk is read, and then lost with its process. */
  'unsynced state': (config) => {
    calm(config);
    hardlyRepaired(config);
    config.keys = 1;
    config.cluster.rollups = ['total'];
    config.safetyMs = 9_500;
    config.sdkClients = 1;
    config.plainClients = 3;
    config.readers = 5;
  },
  'failed writes': lossy({ 'failed write': 500, kill: 1_500 }),
  'wiped stores': storesLost({ wipe: 300 }),
  'restored snapshots': storesLost({ 'old snapshot': 300 }),
  'lost batches': storesLost({ 'lost batch': 300 }),
  'flipped bits': (config) => {
    storesLost({ 'flipped bit': 200, kill: 900 })(config);
    config.keys = 5;
    config.readers = 2;
  },
  registers: registers(),
  /** By schedule: who promised is killed as its promise arrives, and starts again at once. */
  'registers, kills': registers(),
  /** By schedule: who took a record is wiped as its answer arrives. */
  'registers, wiped stores': (config) => {
    registers()(config);
    config.rate = 4;
    config.registerOwners = 10;
  },
  /** By schedule: a coordinator sleeps as the first answer to its write arrives, and wakes after the deadline. */
  'sleeping coordinators': (config) => {
    lossy({})(config);
    config.network.maxDelayMs = 20;
    config.cluster.limits.maxRequestMs = 300;
    config.cluster.limits.defaultRequestMs = 300;
  },
  /** Requests are to end long before their callers stop waiting. */
  'patient callers': (config) => {
    lossy({})(config);
    config.plainClients = 3;
    config.cluster.limits.maxRequestMs = 300;
    config.cluster.limits.defaultRequestMs = 300;
  },
  /** More cells than the producers of nodes keep, so that they roll to fresh ids again and again. */
  'full producers': (config) => {
    lossy({})(config);
    config.sdkClients = 1;
    config.plainClients = 3;
    config.cluster.limits.maxProducerCells = 20;
  },
  /** Replicas miss writes for seconds, and nothing but anti-entropy brings them. */
  'anti-entropy alone': (config) => {
    lossy({ partition: 800 })(config);
    config.readers = 0;
    config.cluster.limits.antiEntropyIntervalMs = 2_000;
  },
  /** Replicas miss writes, and nothing but hints brings them. No node dies: hints are not synced. */
  'hints alone': (config) => {
    storesLost({})(config);
    config.network.lossRate = 0.1;
    config.keys = 4;
    config.readers = 0;
    config.cluster.limits.antiEntropyIntervalMs = HOUR_MS;
    config.cluster.limits.maxHintBytesPerTarget = 1_000_000;
  },
  /** The counting pipeline: its processes are killed and stalled all the time, on a network that loses messages. */
  pipeline: pipeline(),
  /** As before; copies of events stand near the edge of the windows, which differ from process to process. */
  'pipeline, small windows': pipeline({
    dedupWindows: [3, 4, 5],
    repeatRate: 0.8,
    maxCells: 40,
    partitions: 1,
    stopEveryMs: 3_000,
    malformed: 0.15,
    logKillEveryMs: 2_000,
    logStallEveryMs: 2_000,
  }),
  /** Kills and cuts between steps, such that the newest checkpoint is at one node alone, again and again. */
  'pipeline, lone checkpoints': loneReplicas({
    strikes: {
      'intent arrives': { both: 0.3, cutMs: [2_000, 5_000] },
      'acquisition arrives': { mend: 0.9 },
      acquired: { again: 0.8, cutMs: [2_000, 4_000] },
      'completed a batch in part': { kill: 0.7 },
    },
  }),
  /** As before for shards: nodes are cut off while batches are flushed, and owners die as they begin the next. */
  'pipeline, lone shards': loneReplicas({
    strikes: { 'flush arrives': { cut: 0.5, cutMs: [2_000, 5_000] }, intended: { kill: 0.6 } },
  }),
  /** Five nodes: a flush goes to several sets of replicas. */
  'many replica sets': (config) => {
    const { nodes } = config.cluster;
    calm(config);
    hardlyRepaired(config);
    config.cluster.nodes = nodes;
    config.keys = 12;
    config.rate = 30;
  },
} satisfies Record<string, Profile>;

export type ProfileName = keyof typeof PROFILES;
