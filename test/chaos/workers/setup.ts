import { windowIndex } from '../../../counter/window.js';
import type { ConsistencyLevel } from '../../../proto/level.js';
import type { SeededRandom } from '../../simulation/seeded-random.js';
import type { AttemptedIncrement, AttemptedRead, Recorder } from './records.js';

/** sdk: counts and reads with the SDK. plain: counts by the plain RPC. reader: reads at every node. */
export type WorkerRole = 'sdk' | 'plain' | 'reader';

/** What a client process is told, as JSON in its first argument. */
export interface WorkerSetup {
  role: WorkerRole;
  name: string;
  seed: string;
  /** `host:port` by nodeId: clients go there whatever a node says of the others' addresses. */
  addresses: Record<string, string>;
  keyPrefix: string;
  keys: number;
  /** Keys from this number on take negative values too. */
  growOnlyKeys: number;
  operationsPerSecond: number;
  /** The history stays this small. */
  maxOperations: number;
  writeLevels: ConsistencyLevel[];
  readLevels: ConsistencyLevel[];
  historyFile: string;
  startNs: string;
}

export interface WorkerParts {
  setup: WorkerSetup;
  random: SeededRandom;
  recorder: Recorder;
  /** Resolves when no new operation may begin. */
  stopped: Promise<void>;
}

const EVENT_TYPES = ['view', 'like'];
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const TICK_MS = 10;
export const CALL_TIMEOUT_MS = 2_000;

/** Some are late, none lies in the future. */
function randomTime(random: SeededRandom): number {
  const age = random.next();
  const lateMs = age < 0.8 ? 0 : age < 0.95 ? random.between(0, 2 * HOUR_MS) : random.between(0, DAY_MS);
  return Math.floor(Date.now() - lateMs);
}

function randomKey({ keyPrefix, keys }: WorkerSetup, random: SeededRandom): { name: string; number: number } {
  // Half of all goes to a few keys: there producers and readers meet.
  const number = random.below(random.chance(0.5) ? Math.ceil(keys / 8) : keys);
  return { name: `${keyPrefix}${number}`, number };
}

export function randomIncrement(setup: WorkerSetup, random: SeededRandom): AttemptedIncrement {
  const { name, number } = randomKey(setup, random);
  return {
    key: name,
    eventType: random.pick(EVENT_TYPES),
    value: number % setup.keys >= setup.growOnlyKeys ? random.below(21) - 10 : 1 + random.below(5),
    timestampMs: randomTime(random),
    level: random.pick(setup.writeLevels),
  };
}

export function randomRead(
  setup: WorkerSetup,
  random: SeededRandom,
): AttemptedRead & { timestampMs: number } {
  const { name } = randomKey(setup, random);
  return readOf(setup, random, { key: name, eventType: random.pick(EVENT_TYPES) });
}

/** A read of a series in one of its windows. */
export function readOf(
  { readLevels }: WorkerSetup,
  random: SeededRandom,
  series: { key: string; eventType: string },
): AttemptedRead & { timestampMs: number } {
  const granularity = random.chance(0.7) ? 'total' : random.pick(['day', 'hour'] as const);
  const timestampMs = Date.now();
  const window = windowIndex(granularity, timestampMs);
  const { key, eventType } = series;
  return { key, eventType, granularity, window, level: random.pick(readLevels), timestampMs };
}

/** Begins operations at the asked pace until it is told to stop, or the history is full. */
export async function paced({ setup, recorder, stopped }: WorkerParts, begin: () => void): Promise<void> {
  let over = false;
  void stopped.then(() => {
    over = true;
  });
  let owed = 0;
  let lastMs = performance.now();
  while (!over) {
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    const nowMs = performance.now();
    // A process that could not run for long does not make up for it in one burst.
    owed = Math.min(owed + ((nowMs - lastMs) * setup.operationsPerSecond) / 1_000, 50);
    lastMs = nowMs;
    for (; owed >= 1 && recorder.operations < setup.maxOperations; owed--) begin();
  }
}
