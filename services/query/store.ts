import type {
  CellRequest,
  CounterValue,
  Granularity,
  ReadOptions,
  ReadOutcome,
  StatsRequest,
  StatsResult,
} from '../../client/index.js';

/** What the query service asks of the store: a client that reads int64 as `bigint`, so that nothing is rounded. */
export interface QueryStore {
  /** The granularities that the cluster keeps. Throws UNAVAILABLE while it was never reached. */
  readonly rollups: readonly Granularity[];
  getMany(
    queries: readonly CellRequest[],
    options: ReadOptions,
  ): Promise<ReadOutcome<CounterValue<bigint>>[]>;
  statsMany(
    queries: readonly StatsRequest[],
    options: ReadOptions,
  ): Promise<ReadOutcome<StatsResult<bigint>>[]>;
  /** The descriptive columns of keys by name: one outcome per key, in order. */
  getColumns(keys: readonly string[], options: ReadOptions): Promise<ReadOutcome<Columns>[]>;
  close(): Promise<void>;
}

export type Columns = ReadonlyMap<string, { value: string; at: Date }>;
