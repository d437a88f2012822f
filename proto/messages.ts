/**
 * The messages of counter.proto and peer.proto as @grpc/proto-loader gives and takes them: camel case, int64
 * as strings of digits (numbers are taken too), enums by name (a number: one that this software does not
 * know), absent optional fields `undefined`. Written by hand; test/unit/transport/load.test.ts holds them
 * against the protos.
 */

/** Digits when decoded; a safe number is fine for encoding. */
export type WireInt64 = string | number;
export type WireEnum = string | number;

export interface WireError {
  code: string;
  message: string;
  required?: number | undefined;
  received?: number | undefined;
  live?: number | undefined;
  mayHaveApplied: boolean;
  retryable: boolean;
}

export interface WireCellValue {
  count: WireInt64;
  sum: WireInt64;
  min?: WireInt64 | undefined;
  max?: WireInt64 | undefined;
  average?: number | undefined;
}

export interface WireIncrementItem {
  key: string;
  eventType: string;
  value?: WireInt64 | undefined;
  timestampMs?: WireInt64 | undefined;
}

export interface WireIncrementRequest extends WireIncrementItem {
  consistency: WireEnum;
}

export interface WireBatchIncrementRequest {
  items: WireIncrementItem[];
  consistency: WireEnum;
}

export interface WireBatchIncrementReply {
  outcomes: { error?: WireError | undefined }[];
}

export interface WireCellQuery {
  key: string;
  eventType: string;
  granularity: WireEnum;
  timestampMs?: WireInt64 | undefined;
}

export interface WireGetRequest extends WireCellQuery {
  consistency: WireEnum;
}

export interface WireGetReply {
  value: WireCellValue;
}

export interface WireGetManyRequest {
  queries: WireCellQuery[];
  consistency: WireEnum;
}

export interface WireGetManyReply {
  outcomes: { value?: WireCellValue | undefined; error?: WireError | undefined }[];
}

export interface WireStatsQuery {
  key: string;
  eventType: string;
  startMs: WireInt64;
  endMs: WireInt64;
  granularity: WireEnum;
}

export interface WireStatsRequest extends WireStatsQuery {
  consistency: WireEnum;
}

export interface WireStatsReply {
  startMs: WireInt64;
  endMs: WireInt64;
  granularity: WireEnum;
  value: WireCellValue | null;
  series: { startMs: WireInt64; value: WireCellValue | null }[];
}

export interface WireStatsManyRequest {
  queries: WireStatsQuery[];
  consistency: WireEnum;
}

export interface WireStatsManyReply {
  outcomes: { stats?: WireStatsReply | undefined; error?: WireError | undefined }[];
}

export interface WireDescribeReply {
  cluster: string;
  ringEpoch: WireInt64;
  vnodes: number;
  replication: { datacenter: string; replicas: number }[];
  rollups: WireEnum[];
  nodes: {
    nodeId: string;
    host: string;
    port: number;
    datacenter: string;
    rack: string;
    up: boolean;
    status: string;
  }[];
  nodeId: string;
  maxBatchBytes: number;
}

export interface WireCellAddress {
  key: string;
  eventType: string;
  granularity: WireEnum;
  window: WireInt64;
}

export interface WireShardsRequest {
  cells: WireCellAddress[];
  consistency: WireEnum;
}

export interface WireProducerShard {
  producerId: Buffer;
  sequence: WireInt64;
  count: WireInt64;
  sum: WireInt64;
  min?: WireInt64 | undefined;
  max?: WireInt64 | undefined;
}

export interface WireShardsReply {
  outcomes: { cell?: { shards: WireProducerShard[] } | undefined; error?: WireError | undefined }[];
}

export interface WireColumnsRequest {
  keys: string[];
  consistency: WireEnum;
}

export interface WireColumn {
  name: string;
  text?: string | undefined;
  timeMs: WireInt64;
  logical: WireInt64;
  writer: Buffer;
}

export interface WireColumnsReply {
  outcomes: { row?: { columns: WireColumn[] } | undefined; error?: WireError | undefined }[];
}

export interface WireMintProducerRequest {
  above?: Buffer | undefined;
  kind: WireEnum;
}

export interface WireMintProducerReply {
  producerId: Buffer;
}

/** What all requests of a stream of numbered calls have. */
export interface WireNumberedRequest {
  id: number;
  timeoutMs: number;
}

export interface WireNumberedReply {
  id: number;
  error?: WireError | undefined;
}

export interface WireFlushRequest extends WireNumberedRequest {
  ringEpoch: WireInt64;
  consistency: WireEnum;
  batch: Buffer;
}

export interface WireFlushReply extends WireNumberedReply {
  failures: { indexes: number[]; error: WireError | null }[];
}

export interface WireQueryRequest extends WireNumberedRequest, WireGetManyRequest {
  stats: WireStatsQuery[];
}

export interface WireQueryReply extends WireNumberedReply, WireGetManyReply {
  stats: WireStatsManyReply['outcomes'];
}

export interface WireRegisterRecord {
  epoch: WireInt64;
  write: WireInt64;
  quorum: { nodeId: string; storeNumber: WireInt64 }[];
  value?: Buffer | undefined;
}

export interface WireAcquireRegisterRequest {
  name: string;
}

export interface WireWriteRegisterRequest {
  name: string;
  record: WireRegisterRecord | null;
}

export interface WireReadRegisterRequest {
  name: string;
}

export interface WireReadRegisterReply {
  record: WireRegisterRecord | null;
}

export interface WireReportReply {
  nodeId: string;
  cluster: string;
  version: string;
  status: string;
  waitsFor: string;
  storeId: string;
  storeState: string;
  syncedBatch: WireInt64;
  entries: WireInt64;
  ringEpoch: WireInt64;
  uptimeMs: WireInt64;
  memoryBytes: WireInt64;
  hints: { nodeId: string; hints: WireInt64 }[];
  damagedRows: number;
  endpoints: {
    nodeId: string;
    up: boolean;
    convicted: boolean;
    phi: number;
    generation: WireInt64;
    heartbeat: WireInt64;
    facts: { name: string; text?: string | undefined; number?: number | undefined }[];
  }[];
  ownership: { nodeId: string; share: number }[];
  ring: WireDescribeReply | null;
}

export interface WireEndpointsOfRequest {
  key: string;
}

export interface WireEndpointsOfReply {
  nodeIds: string[];
}

export interface WireGetLocalRequest {
  queries: WireCellQuery[];
}

export interface WireScanLocalRequest {
  after?: Buffer | undefined;
  limit: number;
}

export interface WireScanLocalReply {
  keys: Buffer[];
  hashes: Buffer;
  more: boolean;
}

export interface WirePeerFrame {
  id: number;
  kind: string;
  timeoutMs: number;
  body: Buffer;
  error?: WireError | undefined;
}
