/** Loads the cluster through the SDK's count(), as one client process. */
import { connect, type TallyringClient, TallyringError } from '../../client/index.js';
import { dueBy } from '../pacing.js';
import type { Progress } from '../statistics.js';
import { reportProgress, serveWorker } from '../worker.js';
import { drawRanks, seededRandom, zipf } from '../zipf.js';

/** Keys counted between two looks at what was acknowledged. */
const CHUNK = 2_000;
/** Flushes waited for at a time; more only lengthens queues. */
const MAX_FLUSHES = 4;
const SKEWED_CHUNK = 1_000;
/** A slow cluster gives a low figure, not an error. */
const FLUSH_TIMEOUT_MS = 120_000;
/** Keys read back after a load. */
const SAMPLE = 50;
const EVENT_TYPE = 'view';

let client: TallyringClient;
/** Every key is new: its number goes on over all calls. */
let nextKey = 0;
/** `counted`: events of each key so far, over all calls. */
let skewed: { keys: string[]; ranks: Uint32Array; counted: Float64Array };

serveWorker({ open, loadDistinct, loadPaced, prepareSkewed, countSkewed, close: () => client.close() });

async function open(contactPoints: string[]): Promise<void> {
  client = await connect({ contactPoints, localDatacenter: 'dc1', consistency: 'QUORUM' });
}

/** Counts one event for each of `keys` new keys; returns when all of them are acknowledged. */
async function countNewKeys(keys: number): Promise<void> {
  for (let i = 0; i < keys; i++) {
    const key = newKey();
    if (!tryCount(key)) await countWhenRoom(key);
  }
  await client.flush({ timeoutMs: FLUSH_TIMEOUT_MS });
}

/** Counts one event, unless the client has no room for new cells. */
function tryCount(key: string): boolean {
  try {
    client.count(key, EVENT_TYPE);
    return true;
  } catch (error) {
    if (error instanceof TallyringError && error.code === 'OVERLOADED') return false;
    throw error;
  }
}

async function countWhenRoom(key: string): Promise<void> {
  do await client.drained();
  while (!tryCount(key));
}

function newKey(): string {
  return keyOf(nextKey++);
}

function keyOf(number: number): string {
  return `bench-${number.toString(36).padStart(6, '0')}`;
}

/** Distinct keys as fast as they are acknowledged, for `ms` or until `maxKeys`. What was acknowledged when. */
async function loadDistinct({ ms, maxKeys }: { ms: number; maxKeys?: number }): Promise<Progress[]> {
  const startMs = performance.now();
  const samples: Progress[] = [];
  let started = 0;
  let done = 0;
  const isOver = () => performance.now() - startMs >= ms || (maxKeys !== undefined && started >= maxKeys);
  const pump = async () => {
    while (!isOver()) {
      started += CHUNK;
      await countNewKeys(CHUNK);
      done += CHUNK;
      samples.push({ atMs: performance.now() - startMs, done });
      reportProgress(`${done.toLocaleString('en-US')} cells acknowledged`);
    }
  };
  await Promise.all(Array.from({ length: MAX_FLUSHES }, pump));
  for (let i = 0; i < SAMPLE; i++) await checkTotal(keyOf(Math.floor((i * nextKey) / SAMPLE)), 1);
  return samples;
}

/** Distinct keys at a fixed rate for `ms`: the load beside another measurement. Returns the rate reached. */
async function loadPaced({ ms, perSecond }: { ms: number; perSecond: number }): Promise<number> {
  const schedule = { startMs: performance.now(), perSecond };
  let counted = 0;
  for (let now = schedule.startMs; now - schedule.startMs < ms; now = performance.now()) {
    for (const due = dueBy(schedule, now); counted < due; counted++) client.count(newKey(), EVENT_TYPE);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await client.flush({ timeoutMs: FLUSH_TIMEOUT_MS });
  return (counted * 1000) / (performance.now() - schedule.startMs);
}

/** Draws the events beforehand: drawing them is not what is measured. */
function prepareSkewed({ keys, exponent, draws }: { keys: number; exponent: number; draws: number }): void {
  skewed = {
    keys: Array.from({ length: keys }, (_, rank) => `video-${rank}`),
    ranks: drawRanks(draws, zipf(keys, exponent, seededRandom(1))),
    counted: new Float64Array(keys),
  };
}

/**
 * Counts the drawn events, again and again, for `ms`, then flushes. The time includes the flush, so every event
 * is acknowledged in it. Then checks the hottest keys' totals against what was counted.
 */
async function countSkewed({ ms }: { ms: number }): Promise<{ events: number; elapsedMs: number }> {
  const { keys, ranks, counted } = skewed;
  const startMs = performance.now();
  let events = 0;
  while (performance.now() - startMs < ms) {
    const now = Date.now();
    for (let i = 0; i < SKEWED_CHUNK; i++) {
      const rank = ranks[events++ % ranks.length]!;
      client.count(keys[rank]!, EVENT_TYPE, 1, now);
      counted[rank]!++;
    }
    if (events % 100_000 === 0) reportProgress(`${events.toLocaleString('en-US')} events counted`);
    // The flushes that run meanwhile need the event loop.
    await new Promise(setImmediate);
  }
  await client.flush({ timeoutMs: FLUSH_TIMEOUT_MS });
  const elapsedMs = performance.now() - startMs;
  for (let rank = 0; rank < 10; rank++) await checkTotal(keys[rank]!, counted[rank]!);
  return { events, elapsedMs };
}

async function checkTotal(key: string, expected: number): Promise<void> {
  const { count } = await client.get(key, EVENT_TYPE);
  if (count !== expected) throw new Error(`${key} was counted ${expected} times but reads ${count}`);
}
