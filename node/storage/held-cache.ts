import { LRUCache } from 'lru-cache';
import { CHECKSUM_BYTES, type Entry } from '../../proto/entry.js';
import { type Verdict, versionOf } from './kinds.js';
import type { HeldHash } from './store.js';

/**
 * What is known of a value on disk: its version, by which most newer ones are judged, and its hash. Numbers that
 * change in place: values that are kept until the next one comes grow old first, and old garbage is dear to collect.
 */
export interface Held extends HeldHash {
  version: number;
}

/** The values under keys that were written more than once of late, as they were synced. */
export class HeldCache {
  /** By entry key, as a latin1 string: compact, and it pins no network buffer. */
  readonly #held: LRUCache<string, Held>;

  constructor(maxEntries: number) {
    this.#held = new LRUCache({ max: maxEntries });
  }

  /**
   * Leaves the order as it is, so what came first goes first, however much it is used: what is used comes back with
   * the next write, and to keep the order makes a look-up dearer by more than half (measured in a node under load).
   */
  get(key: string): Held | undefined {
    return this.#held.peek(key);
  }

  set(key: string, held: Held): void {
    this.#held.set(key, held);
  }

  delete(key: string): void {
    this.#held.delete(key);
  }

  clear(): void {
    this.#held.clear();
  }
}

export function heldOf(entry: Entry): Held {
  const held = { version: 0, high: 0, low: 0 };
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
