import type { Granularity } from '../../counter/window.js';
import { type ClusterConfig, clusterSchema } from '../../node/config.js';
import type { ConsistencyLevel } from '../../proto/level.js';
import {
  FAULT_KINDS,
  type FaultKind,
  PARTITION_SHAPES,
  type PartitionShape,
  STORE_FAULTS,
} from './faults.js';
import type { NetworkFaults } from './network.js';
import { SeededRandom } from './seeded-random.js';

/** All that a seed decides before the run starts. */
export interface SimConfiguration {
  seed: number;
  cluster: ClusterConfig;
  /** Replicas in all datacenters together. */
  replicas: number;
  network: NetworkFaults;
  /** Mean time between two faults of a kind, in ms; a kind that is off is missing. */
  faultEveryMs: Partial<Record<FaultKind, number>>;
  /** Those that partitions have. */
  partitionShapes: PartitionShape[];
  safetyMs: number;
  sdkClients: number;
  plainClients: number;
  readers: number;
  /** Processes that contend for registers. */
  registerOwners: number;
  /** Increments per client and second. */
  rate: number;
  keys: number;
  eventTypes: string[];
  negativeValues: boolean;
  levels: ConsistencyLevel[];
}

const N = 3;

/**
 * Swarm testing: every kind of fault is on or off, and its rate differs, from seed to seed. `scale` makes a
 * run so many times longer and busier; 1 costs some 100 ms of CPU.
 */
export function configurationOf(seed: number, scale = 1): SimConfiguration {
  const random = new SeededRandom(seed).fork('configuration');
  const nodes = 3 + random.below(3);
  const twoDatacenters = random.chance(0.25);
  const faultEveryMs: SimConfiguration['faultEveryMs'] = {};
  for (const kind of FAULT_KINDS) {
    if (random.chance(STORE_FAULTS.has(kind) ? 0.2 : 0.4)) faultEveryMs[kind] = random.between(1_000, 8_000);
  }
  const losesStores = Object.keys(faultEveryMs).some((kind) => STORE_FAULTS.has(kind as FaultKind));
  const on = () => random.chance(0.5);
  return {
    seed,
    cluster: clusterConfig(random, nodes, twoDatacenters),
    replicas: N,
    network: {
      minDelayMs: 0.1,
      maxDelayMs: random.pick([1, 3, 20]),
      lossRate: on() ? random.pick([0.01, 0.05, 0.2]) : 0,
      slowRate: on() ? random.pick([0.01, 0.1]) : 0,
      slowMs: random.pick([100, 1_000, 6_000]),
      duplicateRate: on() ? random.pick([0.05, 0.3]) : 0,
      reorder: on(),
    },
    faultEveryMs,
    partitionShapes: shapesOf(random),
    safetyMs: random.between(5_000, 14_000) * scale,
    sdkClients: 1 + random.below(3),
    plainClients: random.below(3),
    readers: 1 + random.below(2),
    rate: random.pick([2, 4, 8]) * scale,
    keys: 1 + random.below(6),
    eventTypes: ['view', 'like', 'watch_ms'].slice(0, 1 + random.below(3)),
    negativeValues: random.chance(0.3),
    levels: levelsOf(random, losesStores, twoDatacenters),
    registerOwners: random.pick([0, 0, 2, 3]),
  };
}

function shapesOf(random: SeededRandom): PartitionShape[] {
  const shapes = PARTITION_SHAPES.filter(() => random.chance(0.5));
  return shapes.length > 0 ? shapes : [random.pick(PARTITION_SHAPES)];
}

/** Names of the clients' machines. */
export function clientNames(config: SimConfiguration): string[] {
  const named = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name}-${i + 1}`);
  return [
    ...named('sdk', config.sdkClients),
    ...named('plain', config.plainClients),
    ...named('reader', config.readers),
    ...named('owner', config.registerOwners),
  ];
}

/**
 * What one replica alone acknowledged may go with its store (a stated limit), so where stores get lost
 * nothing is written at a level that one replica can meet.
 */
function levelsOf(random: SeededRandom, losesStores: boolean, twoDatacenters: boolean): ConsistencyLevel[] {
  const levels: ConsistencyLevel[] = ['QUORUM', 'QUORUM', 'QUORUM', 'TWO', 'ALL'];
  if (twoDatacenters) levels.push('EACH_QUORUM');
  if (losesStores) return levels;
  if (random.chance(0.5)) levels.push('ONE', 'ONE', 'LOCAL_ONE', 'LOCAL_QUORUM');
  return levels;
}

function clusterConfig(random: SeededRandom, nodes: number, twoDatacenters: boolean): ClusterConfig {
  const rollups: Granularity[] = random.chance(0.3) ? ['total', 'day', 'hour', 'minute'] : ['total', 'hour'];
  return clusterSchema.parse({
    cluster: 'simulated',
    replication: twoDatacenters ? { dc1: 2, dc2: 1 } : { dc1: N },
    vnodes: 8,
    rollups,
    logLevel: 'silent',
    nodes: Array.from({ length: nodes }, (_, i) => ({
      id: `node-${i + 1}`,
      port: 7_001 + i,
      rack: `r${1 + (i % 2)}`,
      datacenter: twoDatacenters && i % 3 === 2 ? 'dc2' : 'dc1',
    })),
    limits: {
      maxRequestMs: 2_000,
      defaultRequestMs: 1_000,
      antiEntropyIntervalMs: 2_000,
      incrementCollectMs: 2,
      maxPeerQueueBytes: random.chance(0.1) ? 4_000 : 1_000_000,
      maxHintBytesPerTarget: random.chance(0.3) ? 2_000 : 1_000_000,
      storeCacheEntries: random.pick([4, 1_000]),
      readCacheCells: random.pick([4, 100]),
    },
  });
}

/** One line for reports. */
export function describeConfiguration(config: SimConfiguration): string {
  const faults = Object.keys(config.faultEveryMs).join(', ') || 'none';
  const { lossRate, slowRate, slowMs, duplicateRate, reorder } = config.network;
  return (
    `${config.cluster.nodes.length} nodes, replication ${JSON.stringify(config.cluster.replication)}, ` +
    `${config.sdkClients} SDK and ${config.plainClients} plain clients, ${config.keys} keys; ` +
    `loss ${lossRate}, slow ${slowRate} up to ${slowMs} ms, duplicates ${duplicateRate}${reorder ? ', reorder' : ''}; ` +
    `faults: ${faults}; levels ${[...new Set(config.levels)].join(' ')}`
  );
}
