import { z } from 'zod';
import { GRANULARITIES } from '../counter/window.js';

/**
 * cluster.yml, checked. Every queue, cache, retry and message of a node has its limit here; each field's
 * comment says what it bounds. `parseClusterConfig` is in config-file.ts.
 */

const positive = z.number().int().positive();
const nodeId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, 'letters, digits, - and _ only, at most 64');

const nodeSchema = z.strictObject({
  id: nodeId,
  host: z.string().min(1).default('127.0.0.1'),
  /** gRPC, for clients and peers. */
  port: z.number().int().min(1).max(65_535),
  /** HTTP: /metrics and /health. 0 switches it off. */
  metricsPort: z.number().int().min(0).max(65_535).default(0),
  datacenter: z.string().min(1).default('dc1'),
  rack: z.string().min(1).default('r1'),
  /** Whom a node without live peers turns to. When no node is a seed, all are. */
  seed: z.boolean().default(false),
});

const limitsSchema = z.strictObject({
  /** Longest that any request may take; a recovering node waits this long before it rejoins. */
  maxRequestMs: positive.default(10_000),
  /** Deadline of requests that name none. */
  defaultRequestMs: positive.default(5_000),
  /** One client flush, one peer message. */
  maxBatchBytes: positive.default(4 * 1024 * 1024),
  /** Bytes on their way to one peer, and to all peers together. */
  maxPeerQueueBytes: positive.default(32 * 1024 * 1024),
  maxTotalQueueBytes: positive.default(96 * 1024 * 1024),
  /** Entries that wait for the next commit; beyond it merges are refused with OVERLOADED. */
  maxPendingMergeBytes: positive.default(64 * 1024 * 1024),
  /** Entries whose version and hash are kept in memory so that a merge need not read. */
  storeCacheEntries: positive.default(100_000),
  /** Cells whose shards are kept in memory after they were read. */
  readCacheCells: positive.default(20_000),
  /** LevelDB's own block cache and write buffer. */
  blockCacheBytes: positive.default(32 * 1024 * 1024),
  writeBufferBytes: positive.default(8 * 1024 * 1024),
  /** A failed store is opened again only above this much free space. */
  minFreeDiskBytes: positive.default(64 * 1024 * 1024),
  /** Hints for one target; over it, or older than maxHintAgeMs, anti-entropy takes over. */
  maxHintBytesPerTarget: positive.default(256 * 1024 * 1024),
  maxHintAgeMs: positive.default(3 * 3_600_000),
  /** Hint entries on their way to the disk; what comes beyond is left to anti-entropy. */
  maxWaitingHints: positive.default(200_000),
  /** Replay of hints, entries per second and target. */
  hintReplayPerSecond: positive.default(20_000),
  /** Time between two anti-entropy rounds, each with one peer, and entries exchanged per second. */
  antiEntropyIntervalMs: positive.default(5_000),
  antiEntropyEntriesPerSecond: positive.default(20_000),
  /** Entries per second that a recovering node merges from each other replica. */
  recoveryEntriesPerSecond: positive.default(200_000),
  /** Background check of checksums, entries per second. */
  scrubEntriesPerSecond: positive.default(2_000),
  /** Shards per cell: warned of, and refused to a new producer. */
  warnShardsPerCell: positive.default(1_000),
  maxShardsPerCell: positive.default(10_000),
  /** Windows in one series that are not empty, and periods (proto/entry.ts) that one stats query may touch. */
  maxStatsPoints: positive.default(10_000),
  maxStatsPeriods: positive.default(1_000),
  /** Periods that one call reads at a time. */
  maxPeriodsAtATime: positive.default(256),
  /** Rows that clients ask for and that are not yet answered; beyond it reads are refused with OVERLOADED. */
  maxPendingRows: positive.default(50_000),
  /** Queries of one call, increments of one BatchIncrement. */
  maxQueriesPerCall: positive.default(1_000),
  /** Plain increments taken and not yet answered, and cells in the memory of the node's own producer. */
  maxPendingIncrements: positive.default(50_000),
  maxProducerCells: positive.default(200_000),
  /** Registers that a node holds, and bytes of a register's value. */
  maxRegisters: positive.default(10_000),
  maxRegisterBytes: positive.max(32 * 1024).default(16 * 1024),
  /** Columns of a key, deleted ones included, and bytes of a column's text. */
  maxColumnsPerKey: positive.default(64),
  maxColumnBytes: positive.max(32 * 1024).default(32 * 1024),
  /** How long plain increments are collected into one flush. */
  incrementCollectMs: z.number().nonnegative().default(2),
});

const gossipSchema = z.strictObject({
  gossipIntervalMs: positive.default(1_000),
  /** Conviction threshold of the phi-accrual detector. */
  phiConvictThreshold: z.number().positive().default(8),
  /** Arrival intervals kept per endpoint. */
  phiWindowSize: positive.default(1_000),
  /** A local pause longer than this convicts nobody. */
  maxLocalPauseMs: positive.default(5_000),
});

export const clusterSchema = z
  .strictObject({
    cluster: nodeId,
    /** Replicas per datacenter. */
    replication: z.record(z.string().min(1), z.number().int().min(1).max(7)),
    /**
     * Ring positions per node. The spread of primary ownership is about 1/√vnodes: 2,048 keep the fullest of
     * 64 nodes within 10 % of the mean (4.5 σ), and such a ring builds in some 0.1 s.
     */
    vnodes: z.number().int().min(1).max(4_096).default(2_048),
    /** Granularities that the cluster keeps. `total` always. */
    rollups: z.array(z.enum(GRANULARITIES)).min(1).default(['total', 'day', 'hour']),
    /** sync: a write is on disk before it is acknowledged. periodic: at most 1 s may be lost on power failure. */
    durability: z.enum(['sync', 'periodic']).default('sync'),
    /** Must be true for a node to listen on anything but loopback, until TLS is there. */
    insecure: z.boolean().default(false),
    nodes: z.array(nodeSchema).min(1).max(256),
    gossip: gossipSchema.prefault({}),
    limits: limitsSchema.prefault({}),
    logLevel: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
    /** The counting pipeline's, no matter to a node: services/config.ts checks it where they are started. */
    services: z.unknown().optional(),
  })
  .superRefine((config, context) => {
    const fail = (message: string, path: (string | number)[]) =>
      context.addIssue({ code: 'custom', message, path });
    if (!config.rollups.includes('total')) fail('must include total', ['rollups']);
    const seen = new Set<string>();
    for (const [i, node] of config.nodes.entries()) {
      if (seen.has(node.id)) fail(`node ${node.id} is named twice`, ['nodes', i, 'id']);
      if (seen.has(`${node.host}:${node.port}`)) fail('address is used twice', ['nodes', i, 'port']);
      seen.add(node.id).add(`${node.host}:${node.port}`);
      if (config.replication[node.datacenter] === undefined) {
        fail(`datacenter ${node.datacenter} has no entry under replication`, ['nodes', i, 'datacenter']);
      }
    }
    for (const [datacenter, replicas] of Object.entries(config.replication)) {
      const nodes = config.nodes.filter((node) => node.datacenter === datacenter).length;
      if (nodes < replicas) {
        fail(`${replicas} replicas but only ${nodes} nodes`, ['replication', datacenter]);
      }
    }
  });

export type ClusterConfig = z.output<typeof clusterSchema>;
export type NodeConfig = ClusterConfig['nodes'][number];
export type Limits = ClusterConfig['limits'];
export type GossipConfig = ClusterConfig['gossip'];

/** Software version, gossiped. */
export const VERSION = '0.1.0';
