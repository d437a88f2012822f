import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';
import { PROJECT } from '../chaos/drill-cluster.js';

/** An event as it is sent. */
export interface SentEvent {
  eventId?: string;
  videoId: string;
  eventType: string;
  timestamp: number;
  value: number;
  attributes?: Record<string, string>;
}

export interface Values {
  count: number;
  sum: number;
  min: number;
  max: number;
}

const HOUR_MS = 3_600_000;

/** What events add up to, computed without a line of tallyring's own code. */
export class Tally {
  events = 0;
  /** By event type, then by videoId. */
  readonly totals = new Map<string, Map<string, Values>>();
  /** By event type, then by videoId, then by start of the hour. */
  readonly hours = new Map<string, Map<string, Map<number, Values>>>();

  add({ videoId, eventType, timestamp, value }: SentEvent): void {
    const hour = timestamp - (timestamp % HOUR_MS);
    this.events++;
    addTo(within(this.totals, eventType), videoId, value);
    addTo(within(within(this.hours, eventType), videoId), hour, value);
  }

  get keys(): number {
    return [...this.totals.values()].reduce((sum, { size }) => sum + size, 0);
  }
}

function within<K, L, V>(map: Map<K, Map<L, V>>, key: K): Map<L, V> {
  const held = map.get(key) ?? new Map<L, V>();
  map.set(key, held);
  return held;
}

function addTo<K>(map: Map<K, Values>, key: K, value: number): void {
  const held = map.get(key);
  if (held === undefined) map.set(key, { count: 1, sum: value, min: value, max: value });
  else {
    held.count++;
    held.sum += value;
    held.min = Math.min(held.min, value);
    held.max = Math.max(held.max, value);
  }
}

const EVENTS_FILE = join(PROJECT, 'test', 'data', 'changes.jsonl.gz');

/** The real events, the first `limit` of them. */
export async function realEvents(limit = Number.POSITIVE_INFINITY): Promise<SentEvent[]> {
  const events: SentEvent[] = [];
  const lines = createInterface({ input: createReadStream(EVENTS_FILE).pipe(createGunzip()) });
  for await (const line of lines) {
    if (events.length >= limit) break;
    const { channel, user, ...event } = JSON.parse(line) as SentEvent & { channel: string; user: string };
    events.push({ ...event, attributes: { channel, user } });
  }
  return events;
}

/** In pieces of one request each. */
export function inRequests(events: readonly SentEvent[], size: number): SentEvent[][] {
  const requests: SentEvent[][] = [];
  for (let at = 0; at < events.length; at += size) requests.push(events.slice(at, at + size));
  return requests;
}
