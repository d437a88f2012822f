import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';

export interface Expected {
  count: number;
  sum: number;
}

/** What a file of events adds up to, computed without a line of tallyring's own code. */
export interface Truth {
  events: number;
  /** By `videoId \t eventType`. */
  totals: Map<string, Expected>;
  /** By `videoId \t eventType`, then by start of the hour (epoch milliseconds). */
  hours: Map<string, Map<number, Expected>>;
  firstMs: number;
  lastMs: number;
}

const HOUR_MS = 3_600_000;

export async function truthOf(file: string): Promise<Truth> {
  const truth: Truth = {
    events: 0,
    totals: new Map(),
    hours: new Map(),
    firstMs: Infinity,
    lastMs: -Infinity,
  };
  const lines = createInterface({ input: createReadStream(file).pipe(createGunzip()) });
  for await (const line of lines) {
    const { videoId, eventType, timestamp, value } = JSON.parse(line) as {
      videoId: string;
      eventType: string;
      timestamp: number;
      value: number;
    };
    const name = `${videoId}\t${eventType}`;
    const hour = timestamp - (((timestamp % HOUR_MS) + HOUR_MS) % HOUR_MS);
    truth.events++;
    add(truth.totals, name, value);
    const hours = truth.hours.get(name) ?? new Map<number, Expected>();
    truth.hours.set(name, hours);
    add(hours, hour, value);
    truth.firstMs = Math.min(truth.firstMs, hour);
    truth.lastMs = Math.max(truth.lastMs, hour + HOUR_MS);
  }
  return truth;
}

function add<K>(map: Map<K, Expected>, key: K, value: number): void {
  const held = map.get(key);
  if (held === undefined) map.set(key, { count: 1, sum: value });
  else {
    held.count++;
    held.sum += value;
  }
}
