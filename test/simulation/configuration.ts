import type { Granularity } from '../../counter/window.js';
import { type ClusterConfig, clusterSchema } from '../../node/config.js';
import type { ConsistencyLevel } from '../../proto/level.js';
import {
  FAULT_KINDS,
  type Fault,
  type FaultKind,
  PARTITION_SHAPES,
  type PartitionShape,
  STORE_FAULTS,
} from './faults.js';
import type { NetworkFaults } from './network.js';
import type { PipelineConfiguration } from './pipeline/configuration.js';
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
  /** Cells in the memory of an SDK: the fewer, the more often it rolls to a fresh producerId to forget some. */
  sdkMaxCells: number;
  /** The counting pipeline, in runs that are about it. */
  pipeline?: PipelineConfiguration;
}

/**
 * Swarm testing: every kind of fault is on or off, and its rate differs, from seed to seed. `scale` makes a
 * run so many times longer and busier; 1 costs some 100 ms of CPU.
 */
export function configurationOf(seed: number, scale = 1): SimConfiguration {
  const random = new SeededRandom(seed).fork('configuration');
  const replication = replicationOf(random);
  const twoDatacenters = Object.keys(replication).length > 1;
  const replicas = Object.values(replication).reduce((sum, each) => sum + each, 0);
  const nodes = replicas + (replicas === 3 ? random.below(3) : 0);
  const faultEveryMs: SimConfiguration['faultEveryMs'] = {};
  for (const kind of FAULT_KINDS) {
    const rarely = kind === 'rolling restart' ? 3 : 1; // it strikes every node
    if (!random.chance(STORE_FAULTS.has(kind) ? 0.2 : 0.4)) continue;
    faultEveryMs[kind] = rarely * random.between(1_000, 8_000);
  }
  const losesStores = Object.keys(faultEveryMs).some((kind) => STORE_FAULTS.has(kind as FaultKind));
  const on = () => random.chance(0.5);
  return {
    seed,
    cluster: clusterConfig(random, nodes, replication),
    replicas,
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
    sdkMaxCells: random.chance(0.3) ? random.pick([12, 40]) : 10_000,
  };
}

/** A third of the runs has two datacenters; those with six replicas cost the most, and are few. */
function replicationOf(random: SeededRandom): Record<string, number> {
  if (random.chance(0.67)) return { dc1: 3 };
  return random.chance(0.9) ? { dc1: 2, dc2: 1 } : { dc1: 3, dc2: 3 };
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
    ...named('processor', config.pipeline?.instances ?? 0),
    ...named('source', config.pipeline?.sources ?? 0),
    ...(config.pipeline ? ['log'] : []),
  ];
}

/**
 * What one replica alone acknowledged may go with its store (a stated limit), so where stores get lost
 * nothing is written at a level that one replica can meet.
 */
function levelsOf(random: SeededRandom, losesStores: boolean, twoDatacenters: boolean): ConsistencyLevel[] {
  const levels: ConsistencyLevel[] = ['QUORUM', 'QUORUM', 'QUORUM', 'TWO', 'THREE', 'ALL'];
  if (twoDatacenters) levels.push('EACH_QUORUM');
  if (losesStores) return levels;
  if (random.chance(0.5)) levels.push('ONE', 'ONE', 'LOCAL_ONE', 'LOCAL_QUORUM');
  return levels;
}

function clusterConfig(
  random: SeededRandom,
  nodes: number,
  replication: Record<string, number>,
): ClusterConfig {
  const small = (limit: number, usual: number) => (random.chance(0.2) ? limit : usual);
  const { dc2 } = replication;
  const inDc2 = (i: number) => dc2 !== undefined && (dc2 === 3 ? i % 2 === 1 : i % 3 === 2);
  const rollups: Granularity[] = random.chance(0.3) ? ['total', 'day', 'hour', 'minute'] : ['total', 'hour'];
  return clusterSchema.parse({
    cluster: 'simulated',
    replication,
    vnodes: 8,
    rollups,
    logLevel: 'silent',
    nodes: Array.from({ length: nodes }, (_, i) => ({
      id: `node-${i + 1}`,
      port: 7_001 + i,
      rack: `r${1 + (i % 2)}`,
      datacenter: inDc2(i) ? 'dc2' : 'dc1',
    })),
    limits: {
      maxRequestMs: 2_000,
      defaultRequestMs: 1_000,
      antiEntropyIntervalMs: 2_000,
      incrementCollectMs: 2,
      maxPeerQueueBytes: random.chance(0.1) ? 4_000 : 1_000_000,
      maxHintBytesPerTarget: random.chance(0.3) ? 2_000 : 1_000_000,
      storeCacheEntries: random.pick([4, 1_000]),
      maxPendingIncrements: small(20, 50_000),
      maxPendingRows: small(30, 50_000),
      maxPendingMergeBytes: small(4_000, 1_000_000),
      maxProducerCells: small(60, 200_000),
      readCacheCells: random.pick([4, 100]),
    },
  });
}

/** One line for reports. */
export function describeConfiguration(config: SimConfiguration, schedule: readonly Fault[]): string {
  const faults = [...new Set(schedule.map(({ kind }) => kind))].join(', ') || 'none';
  const { lossRate, slowRate, slowMs, duplicateRate, reorder } = config.network;
  return (
    `${config.cluster.nodes.length} nodes, replication ${JSON.stringify(config.cluster.replication)}, ` +
    `${config.sdkClients} SDK and ${config.plainClients} plain clients, ${config.keys} keys, ${config.sdkMaxCells} cells each; ` +
    `loss ${lossRate}, slow ${slowRate} up to ${slowMs} ms, duplicates ${duplicateRate}${reorder ? ', reorder' : ''}; ` +
    `faults: ${faults}; levels ${[...new Set(config.levels)].join(' ')}`
  );
}
