import type {
  CellRequest,
  CounterValue,
  Granularity,
  ReadOptions,
  ReadOutcome,
  StatsRequest,
  StatsResult,
} from '../../../client/index.js';
import { presentStats, presentValue } from '../../../client/results.js';
import type { Int64 } from '../../../counter/int64.js';
import { planRange } from '../../../counter/range.js';
import { type CellValue, EMPTY_VALUE, foldValues } from '../../../counter/shard.js';
import { windowMs } from '../../../counter/window.js';
import type { TallyringError } from '../../../proto/errors.js';
import type { Columns, QueryStore } from '../../../services/query/store.js';

interface Event {
  atMs: number;
  value: CellValue;
}

/** A store in memory: keeps every event, and adds up what is asked for. */
export class FakeStore implements QueryStore {
  readonly rollups: readonly Granularity[];
  /** Every call that was made, with its options. */
  readonly calls: { call: string; keys: string[]; options: ReadOptions }[] = [];
  /** When set, all reads fail with it. */
  failure: TallyringError | undefined;
  /** When set, reads of that key fail with it. */
  readonly failures = new Map<string, TallyringError>();
  /** Reads wait for it. */
  gate: Promise<void> = Promise.resolve();
  isClosed = false;
  readonly #events = new Map<string, Event[]>();
  readonly #columns = new Map<string, Map<string, { value: string; at: Date }>>();

  constructor(rollups: readonly Granularity[] = ['total', 'day', 'hour']) {
    this.rollups = rollups;
  }

  count(key: string, eventType: string, atMs: number, value: Int64 = 1, count = 1): void {
    const name = JSON.stringify([key, eventType]);
    const events = this.#events.get(name) ?? [];
    events.push({ atMs, value: { count, sum: value, min: value, max: value } });
    this.#events.set(name, events);
  }

  setColumn(key: string, name: string, value: string): void {
    const columns = this.#columns.get(key) ?? new Map();
    columns.set(name, { value, at: new Date(0) });
    this.#columns.set(key, columns);
  }

  async getMany(
    queries: readonly CellRequest[],
    options: ReadOptions,
  ): Promise<ReadOutcome<CounterValue<bigint>>[]> {
    await this.#enter('getMany', queries, options);
    return queries.map(({ key, eventType }) => {
      const events = this.#eventsOf(key, eventType);
      return this.#outcome(key, () => presentValue(folded(events), 'bigint'));
    });
  }

  async statsMany(
    queries: readonly StatsRequest[],
    options: ReadOptions,
  ): Promise<ReadOutcome<StatsResult<bigint>>[]> {
    await this.#enter('statsMany', queries, options);
    return queries.map((query) => this.#outcome(query.key, () => this.#stats(query)));
  }

  async getColumns(keys: readonly string[], options: ReadOptions): Promise<ReadOutcome<Columns>[]> {
    await this.#enter(
      'getColumns',
      keys.map((key) => ({ key })),
      options,
    );
    return keys.map((key) => this.#outcome(key, () => this.#columns.get(key) ?? new Map()));
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }

  async #enter(call: string, queries: readonly { key: string }[], options: ReadOptions): Promise<void> {
    this.calls.push({ call, keys: queries.map(({ key }) => key), options });
    await this.gate;
    if (this.failure !== undefined) throw this.failure;
  }

  #outcome<T>(key: string, read: () => T): ReadOutcome<T> {
    const error = this.failures.get(key);
    return error === undefined ? { value: read() } : { error };
  }

  #eventsOf(key: string, eventType: string): readonly Event[] {
    return this.#events.get(JSON.stringify([key, eventType])) ?? [];
  }

  #stats(query: StatsRequest): StatsResult<bigint> {
    const { key, eventType, granularity } = query;
    const { startMs, endMs } = planRange({
      startMs: Number(query.start),
      endMs: Number(query.end),
      rollups: this.rollups,
      granularity,
    });
    const inside = this.#eventsOf(key, eventType).filter(({ atMs }) => atMs >= startMs && atMs < endMs);
    const windows = new Map<number, Event[]>();
    for (const event of inside) {
      const ms = windowMs(granularity ?? 'hour');
      const at = Math.floor(event.atMs / ms) * ms;
      windows.set(at, [...(windows.get(at) ?? []), event]);
    }
    const series = [...windows]
      .sort(([a], [b]) => a - b)
      .map(([at, events]) => ({ startMs: at, value: folded(events) }));
    return presentStats({ startMs, endMs, granularity, value: folded(inside), series }, query, 'bigint');
  }
}

function folded(events: readonly Event[]): CellValue {
  return events.length === 0 ? { ...EMPTY_VALUE } : foldValues(events.map(({ value }) => value))!;
}
