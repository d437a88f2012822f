import type { Int64 } from '../counter/int64.js';
import type { CellValue, Shard } from '../counter/shard.js';
import type { Granularity } from '../counter/window.js';
import type { Column } from './column.js';
import type { CellAddress } from './entry.js';
import type { ErrorData } from './errors.js';
import type { ConsistencyLevel } from './level.js';
import type { RegisterRecord } from './register.js';

/**
 * What a node does for clients, as plain data: the gRPC service `Counter` (counter.proto), the simulated
 * network and the node itself all speak these types.
 */

export interface CallOptions {
  /** Every call has a deadline. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

export interface NodeDescription {
  nodeId: string;
  host: string;
  port: number;
  datacenter: string;
  rack: string;
  /** As the answering node sees it now. */
  up: boolean;
  status: string;
}

/** What an SDK learns when it connects, and again when a node says STALE_RING. */
export interface ClusterDescription {
  cluster: string;
  ringEpoch: number;
  vnodes: number;
  replication: Record<string, number>;
  rollups: Granularity[];
  nodes: NodeDescription[];
  /** The node that answered. */
  nodeId: string;
  maxBatchBytes: number;
}

export interface FlushRequest {
  ringEpoch: number;
  level: ConsistencyLevel;
  /** An encoded batch (proto/entry.ts). */
  batch: Buffer;
}

/** Entries that did not reach the level, by their index in the batch; all others are acknowledged. */
export interface FlushReply {
  failures: { indexes: number[]; error: ErrorData }[];
}

export interface IncrementRequest {
  key: string;
  eventType: string;
  value: Int64;
  /** Epoch milliseconds; the node's clock when absent. */
  timestampMs?: number | undefined;
}

export interface CellQuery {
  key: string;
  eventType: string;
  /** `total` when absent; else the window that holds `timestampMs`. */
  granularity?: Granularity | undefined;
  timestampMs?: number | undefined;
}

export interface StatsQuery {
  key: string;
  eventType: string;
  /** [startMs, endMs). */
  startMs: number;
  endMs: number;
  /** Of the series; the value is made of the fewest windows whatever it is. None: no series. */
  granularity?: Granularity | undefined;
}

export interface StatsPoint {
  startMs: number;
  value: CellValue;
}

export interface StatsAnswer {
  /** The range that is really covered: aligned outwards to the windows that are kept. */
  startMs: number;
  endMs: number;
  granularity: Granularity | undefined;
  value: CellValue;
  /** Windows that are not empty, in order. */
  series: StatsPoint[];
}

/** Kinds of producer that a client may be: an SDK process, or one whose sequences are positions of a log. */
export const CLIENT_PRODUCER_KINDS = ['sdk', 'log'] as const;
export type ClientProducerKind = (typeof CLIENT_PRODUCER_KINDS)[number];

export interface MintRequest {
  /** The new id is greater in time than this one. */
  above?: Buffer | undefined;
  /** `sdk` when absent. */
  kind?: ClientProducerKind | undefined;
}

/** One producer's part of a cell, with whose it is (16 bytes). */
export interface ProducerShard extends Shard {
  producerId: Buffer;
}

/** One outcome per request, in order. */
export type Outcome<T> = { ok: T } | { error: ErrorData };

export interface ClientCalls {
  describe(options: CallOptions): Promise<ClusterDescription>;
  /** A new producerId (16 bytes). */
  mintProducer(request: MintRequest, options: CallOptions): Promise<Buffer>;
  flush(request: FlushRequest, options: CallOptions): Promise<FlushReply>;
  increment(
    requests: readonly IncrementRequest[],
    level: ConsistencyLevel,
    options: CallOptions,
  ): Promise<Outcome<null>[]>;
  get(
    queries: readonly CellQuery[],
    level: ConsistencyLevel,
    options: CallOptions,
  ): Promise<Outcome<CellValue>[]>;
  stats(
    queries: readonly StatsQuery[],
    level: ConsistencyLevel,
    options: CallOptions,
  ): Promise<Outcome<StatsAnswer>[]>;
  /**
   * All shards of each cell, read as `get` reads them, but not summed. Answers the first cells, as many as one
   * answer may hold, one at least: ask again for the rest.
   */
  shards(
    cells: readonly CellAddress[],
    level: ConsistencyLevel,
    options: CallOptions,
  ): Promise<Outcome<ProducerShard[]>[]>;
  /**
   * The columns of each key in order of their names, deleted ones too. Answers the first keys, as many as one
   * answer may hold, one at least: ask again for the rest.
   */
  columns(
    keys: readonly string[],
    level: ConsistencyLevel,
    options: CallOptions,
  ): Promise<Outcome<Column[]>[]>;
}

/** One endpoint as gossip knows it, for operators. */
export interface EndpointReport {
  nodeId: string;
  /** Local verdict: answers requests; by the failure detector alone; φ now. */
  up: boolean;
  convicted: boolean;
  phi: number;
  generation: number;
  heartbeat: number;
  facts: Record<string, string | number>;
}

export interface NodeReport {
  nodeId: string;
  cluster: string;
  version: string;
  status: string;
  /** What a recovering node waits for; empty otherwise. */
  waitsFor: string;
  storeId: string;
  storeState: 'ok' | 'failed' | 'opening';
  syncedBatch: number;
  entries: number;
  ringEpoch: number;
  uptimeMs: number;
  memoryBytes: number;
  hints: Record<string, number>;
  damagedRows: number;
  endpoints: EndpointReport[];
  /** Share of the token ring that each node replicates, in [0, 1]. */
  ownership: Record<string, number>;
  ring: ClusterDescription;
}

/** What operators ask of one node, answered from that node alone. */
export interface OperatorCalls {
  report(options: CallOptions): Promise<NodeReport>;
  /** Preference list of a key. */
  endpointsOf(key: string, options: CallOptions): Promise<string[]>;
  /** What this replica alone holds. */
  getLocal(queries: readonly CellQuery[], options: CallOptions): Promise<Outcome<CellValue>[]>;
  /** Keys and hashes (8 bytes each) of the entries that this node holds, in key order, after a key. */
  scanLocal(
    after: Buffer | undefined,
    limit: number,
    options: CallOptions,
  ): Promise<{ keys: Buffer[]; hashes: Buffer; more: boolean }>;
}

/** Quorum registers (DESIGN §10): one owner at a time, whichever nodes die. */
export interface RegisterCalls {
  /** Fences every earlier owner; gives the record that the new one took over, under its epoch. */
  acquireRegister(name: string, options: CallOptions): Promise<RegisterRecord>;
  /** An owner's next record: same epoch and quorum, a greater write. Idempotent: the same may be sent again. */
  writeRegister(name: string, record: RegisterRecord, options: CallOptions): Promise<void>;
  /** `undefined`: never acquired. */
  readRegister(name: string, options: CallOptions): Promise<RegisterRecord | undefined>;
}

export type NodeCalls = ClientCalls & OperatorCalls & RegisterCalls;
