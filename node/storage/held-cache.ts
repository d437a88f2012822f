import { CHECKSUM_BYTES, type Entry } from '../../proto/entry.js';
import { type Verdict, versionOf } from './kinds.js';
import type { HeldHash } from './store.js';

/**
 * What is known of a value on disk: its version, by which most newer ones are judged, and its hash. Numbers that
 * change in place: values that are kept until the next one comes grow old first, and old garbage is dear to collect.
 */
export interface Held extends HeldHash {
  version: number;
  /** The last group that its key was in, and where among its keys: says so without a map per group. */
  group: number;
  at: number;
}

/**
 * The values under keys that were written more than once of late, as they were synced. What came first goes first,
 * however much it is used: what is used comes back with the next write, and to keep the order of use makes a look-up
 * dearer by more than half (measured in a node under load).
 */
export class HeldCache {
  /** By entry key, as a latin1 string: compact, and it pins no network buffer. */
  readonly #held = new Map<string, Held>();
  /** The keys in the order in which they came, round and round; some may have been deleted since. */
  readonly #order: string[] = [];
  readonly #maxEntries: number;
  #next = 0;
  #groups = 0;

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  get(key: string): Held | undefined {
    return this.#held.get(key);
  }

  set(key: string, held: Held): void {
    if (!this.#held.has(key)) {
      const first = this.#order[this.#next];
      if (first !== undefined) this.#held.delete(first);
      this.#order[this.#next] = key;
      this.#next = (this.#next + 1) % this.#maxEntries;
    }
    this.#held.set(key, held);
  }

  delete(key: string): void {
    this.#held.delete(key);
  }

  clear(): void {
    this.#held.clear();
    this.#order.length = 0;
    this.#next = 0;
  }

  /** The number of a new group, which no earlier one had. */
  nextGroup(): number {
    return ++this.#groups;
  }
}

export function heldOf(entry: Entry): Held {
  const held = { version: 0, high: 0, low: 0, group: 0, at: 0 };
  hold(held, entry);
  return held;
}

/** Makes it what is known of this entry. */
export function hold(held: Held, entry: Entry): void {
  held.version = versionOf(entry);
  held.high = highOf(entry.value);
  held.low = lowOf(entry.value);
}

/** Which of the two stays; undefined when that takes the whole values. */
export function judge(held: Held, entry: Entry): Verdict | undefined {
  const version = versionOf(entry);
  if (version > held.version) return 'incoming';
  if (version < held.version) return 'held';
  const isSame = held.high === highOf(entry.value) && held.low === lowOf(entry.value);
  return isSame ? 'unchanged' : undefined;
}

function highOf(value: Buffer): number {
  return value.readInt32BE(value.length - CHECKSUM_BYTES);
}

function lowOf(value: Buffer): number {
  return value.readInt32BE(value.length - CHECKSUM_BYTES / 2);
}
