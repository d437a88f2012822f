import type { CounterValue, ReadOptions, ReadOutcome } from '../../client/index.js';
import type { Clock } from '../../ports/clock.js';
import type { ConsistencyLevel } from '../../proto/level.js';
import { errorJson } from '../http/errors.js';
import type { QueryLimits } from './config.js';
import type { SharedReads } from './shared-reads.js';
import type { QueryStore } from './store.js';

/** What every query works with. */
export interface QueryContext {
  store: QueryStore;
  reads: SharedReads;
  limits: QueryLimits;
  /** Of requests that do not say. */
  consistency: ConsistencyLevel;
  clock: Clock;
}

/** No signal of one caller: the read may be shared. */
export function readOptions(context: QueryContext, asked: ConsistencyLevel | undefined) {
  const consistency = asked ?? context.consistency;
  return { consistency, timeoutMs: context.limits.storeTimeoutMs } satisfies ReadOptions;
}

/** One entry per video: its values, or why there are none. When there are none at all, it throws the reason. */
export function perVideo<T>(
  videoIds: readonly string[],
  outcomes: readonly ReadOutcome<T>[],
  present: (value: T) => object,
): object[] {
  const first = outcomes.find(({ error }) => error !== undefined);
  if (first !== undefined && outcomes.every(({ error }) => error !== undefined)) throw first.error;
  return videoIds.map((videoId, i) => {
    const outcome = outcomes[i]!;
    if (outcome.error !== undefined) return { videoId, error: errorJson(outcome.error) };
    return { videoId, ...present(outcome.value) };
  });
}

/** In the order in which people read them. */
export function valuesJson(value: Partial<CounterValue<bigint>>): object {
  const { count, sum, average, min, max } = value;
  return { count, sum, average, min, max }; // JSON leaves out what is undefined
}

export function timeJson(ms: number): string {
  return new Date(ms).toISOString();
}

/** `undefined`: it has no column of that name, or it cannot be read, which spoils no count. */
export function columnText(
  outcome: ReadOutcome<ReadonlyMap<string, { value: string }>> | undefined,
  name: string,
): string | null {
  return outcome?.value?.get(name)?.value ?? null;
}
