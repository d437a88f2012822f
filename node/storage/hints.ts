import type { Clock } from '../../ports/clock.js';
import { type Entry, isIntact } from '../../proto/entry.js';
import type { Limits } from '../config.js';
import type { Metrics } from '../metrics.js';
import { EMPTY, keyAfter, prefixEnd } from './keyspace.js';
import { mergeValues } from './kinds.js';
import type { LocalRecords, LocalWrite } from './store.js';

/**
 * Entries that a replica which was down still has to get. A newer state of an entry replaces the older one,
 * so hints are bounded by cells, not by traffic.
 *
 *   'h' u8 length, target, entry key  →  u48 wall milliseconds, entry value
 *   's' target                        →  the target's totals, written in the same batch as the hints
 *
 * Hints are not synced: one that a power failure takes is left to anti-entropy.
 */
const HINT = 0x68;
const STATS = Buffer.from('s');
const STAMP_BYTES = 6;
const DROP_PAGE = 1_000;

export interface HintStats {
  entries: number;
  bytes: number;
  /** No hint is older than this (wall clock); undefined when there is none. */
  oldestMs: number | undefined;
  /** Hints for this target were refused or dropped: anti-entropy has to bring what they held. */
  overflowed: boolean;
}

export interface HintStoreOptions {
  records: LocalRecords;
  limits: Pick<Limits, 'maxHintBytesPerTarget' | 'maxHintAgeMs'>;
  clock: Clock;
  metrics: Metrics;
}

const NO_HINTS: HintStats = { entries: 0, bytes: 0, oldestMs: undefined, overflowed: false };

export class HintStore {
  readonly #options: HintStoreOptions;
  readonly #stats: Map<string, HintStats>;
  /** Calls run one after the other: each reads before it writes. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(options: HintStoreOptions, stats: Map<string, HintStats>) {
    this.#options = options;
    this.#stats = stats;
    for (const target of stats.keys()) this.#show(target);
  }

  /** Takes up the hints that the records hold. */
  static async open(options: HintStoreOptions): Promise<HintStore> {
    const stats = new Map<string, HintStats>();
    const to = prefixEnd(STATS);
    let from: Buffer = STATS;
    for (;;) {
      const page = await options.records.page({ from, to }, DROP_PAGE);
      for (const { key, value } of page) {
        stats.set(key.toString('utf8', STATS.length), parseStats(value));
      }
      if (page.length < DROP_PAGE) return new HintStore(options, stats);
      from = keyAfter(page[page.length - 1]!.key);
    }
  }

  /**
   * Stores hints, each in place of an older state of its entry. What does not fit under the target's limit is
   * not stored: it is counted in `left`, and the target is marked `overflowed`, durably.
   */
  add(target: string, entries: readonly Entry[], wallMs: number): Promise<{ stored: number; left: number }> {
    return this.#inTurn(() => this.#add(target, entries, wallMs));
  }

  /**
   * At most `limit` hints for a target in key order, from `after` on (the key of the last one got) or from the
   * start. Those over the age limit are dropped, which marks the target `overflowed`; so are bad ones.
   */
  page(target: string, limit: number, after?: Buffer): Promise<Entry[]> {
    return this.#inTurn(() => this.#page(target, limit, after));
  }

  /** Removes delivered hints. One that was replaced by a newer state since stays. */
  remove(target: string, entries: readonly Entry[]): Promise<void> {
    return this.#inTurn(() => this.#remove(target, entries));
  }

  /** Forgets the mark: anti-entropy has brought what the dropped hints held. */
  clearOverflow(target: string): Promise<void> {
    return this.#inTurn(async () => {
      if (!this.stats(target).overflowed) return;
      await this.#store(target, [], { ...this.stats(target), overflowed: false });
    });
  }

  /** Of one target, or of all together. */
  stats(target?: string): HintStats {
    if (target !== undefined) return this.#stats.get(target) ?? NO_HINTS;
    const all = { ...NO_HINTS };
    for (const one of this.#stats.values()) {
      all.entries += one.entries;
      all.bytes += one.bytes;
      all.overflowed ||= one.overflowed;
      all.oldestMs = older(all.oldestMs, one.oldestMs);
    }
    return all;
  }

  /** Targets that have hints, or are marked `overflowed`. */
  targets(): string[] {
    return [...this.#stats].filter(([, one]) => one.entries > 0 || one.overflowed).map(([target]) => target);
  }

  async #add(
    target: string,
    entries: readonly Entry[],
    wallMs: number,
  ): Promise<{ stored: number; left: number }> {
    const newest = newestOf(entries);
    const keys = newest.map((entry) => hintKey(target, entry.key));
    const held = await this.#options.records.getMany(keys);
    const stats = { ...this.stats(target) };
    const writes: LocalWrite[] = [];
    let left = 0;
    for (let i = 0; i < newest.length; i++) {
      const entry = newest[i]!;
      const former = held[i]?.subarray(STAMP_BYTES);
      if (former !== undefined && isIntact({ key: entry.key, value: former })) {
        const verdict = mergeValues(entry.key, former, entry.value);
        if (verdict !== 'incoming' && verdict !== 'conflictIncoming') continue;
      }
      const bytes = sizeOf(keys[i]!, entry.value.length) - (former ? sizeOf(keys[i]!, former.length) : 0);
      // A longer state that does not fit leaves the shorter, older one there: anti-entropy brings the rest.
      if (bytes > 0 && stats.bytes + bytes > this.#options.limits.maxHintBytesPerTarget) {
        left++;
        continue;
      }
      stats.bytes += bytes;
      if (former === undefined) stats.entries++;
      writes.push({ key: keys[i]!, value: stamped(wallMs, entry.value) });
    }
    if (writes.length > 0) stats.oldestMs = older(stats.oldestMs, wallMs);
    if (left > 0) stats.overflowed = true;
    await this.#store(target, writes, stats);
    if (writes.length > 0) this.#options.metrics.hintsStored.inc({ target }, writes.length);
    this.#countDropped(target, left);
    return { stored: newest.length - left, left };
  }

  async #page(target: string, limit: number, after: Buffer | undefined): Promise<Entry[]> {
    const prefix = hintKey(target, EMPTY);
    const to = prefixEnd(prefix);
    const tooOldMs = this.#options.clock.wallMs() - this.#options.limits.maxHintAgeMs;
    const entries: Entry[] = [];
    let from = after === undefined ? prefix : keyAfter(hintKey(target, after));
    while (entries.length < limit) {
      const wanted = limit - entries.length;
      const records = await this.#options.records.page({ from, to }, wanted);
      const dropped: { key: Buffer; value: Buffer }[] = [];
      for (const record of records) {
        const entry = { key: record.key.subarray(prefix.length), value: record.value.subarray(STAMP_BYTES) };
        if (record.value.readUIntBE(0, STAMP_BYTES) < tooOldMs || !isIntact(entry)) dropped.push(record);
        else entries.push(entry);
      }
      if (dropped.length > 0) {
        await this.#delete(target, dropped, true);
        this.#countDropped(target, dropped.length);
      }
      if (records.length < wanted) break;
      from = keyAfter(records[records.length - 1]!.key);
    }
    // The totals can drift when a power failure takes unsynced batches; an empty range is the truth.
    if (entries.length === 0 && after === undefined && this.stats(target).entries > 0) {
      await this.#store(target, [], { ...NO_HINTS, overflowed: this.stats(target).overflowed });
    }
    return entries;
  }

  async #remove(target: string, entries: readonly Entry[]): Promise<void> {
    const keys = entries.map((entry) => hintKey(target, entry.key));
    const held = await this.#options.records.getMany(keys);
    const delivered: { key: Buffer; value: Buffer }[] = [];
    entries.forEach((entry, i) => {
      const value = held[i];
      if (value?.subarray(STAMP_BYTES).equals(entry.value)) delivered.push({ key: keys[i]!, value });
    });
    if (delivered.length > 0) await this.#delete(target, delivered, false);
  }

  async #delete(
    target: string,
    records: readonly { key: Buffer; value: Buffer }[],
    overflowed: boolean,
  ): Promise<void> {
    const stats = { ...this.stats(target) };
    stats.overflowed ||= overflowed;
    for (const { key, value } of records) {
      stats.entries = Math.max(0, stats.entries - 1);
      stats.bytes = Math.max(0, stats.bytes - sizeOf(key, value.length - STAMP_BYTES));
    }
    if (stats.entries === 0) Object.assign(stats, { bytes: 0, oldestMs: undefined });
    const writes = records.map(({ key }) => ({ key, value: undefined }));
    await this.#store(target, writes, stats);
  }

  /** Writes hints and totals in one batch. It is synced only when it tells of an overflow for the first time. */
  async #store(target: string, writes: LocalWrite[], stats: HintStats): Promise<void> {
    const sync = stats.overflowed && !this.stats(target).overflowed;
    if (writes.length === 0 && stats.overflowed === this.stats(target).overflowed && stats.entries > 0)
      return;
    const gone = stats.entries === 0 && !stats.overflowed;
    const key = Buffer.concat([STATS, Buffer.from(target)]);
    writes.push({ key, value: gone ? undefined : Buffer.from(JSON.stringify(stats)) });
    await this.#options.records.write(writes, { sync });
    if (gone) this.#stats.delete(target);
    else this.#stats.set(target, stats);
    this.#show(target);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  #countDropped(target: string, dropped: number): void {
    if (dropped > 0) this.#options.metrics.hintsDropped.inc({ target }, dropped);
  }

  #show(target: string): void {
    this.#options.metrics.hintBytes.set({ target }, this.stats(target).bytes);
  }
}

/** Totals that do not read are made up for by anti-entropy, as an overflow is. */
function parseStats(value: Buffer): HintStats {
  try {
    return { ...NO_HINTS, ...JSON.parse(value.toString()) };
  } catch {
    return { ...NO_HINTS, overflowed: true };
  }
}

function hintKey(target: string, entryKey: Buffer): Buffer {
  const name = Buffer.from(target);
  return Buffer.concat([Buffer.from([HINT, name.length]), name, entryKey]);
}

function stamped(wallMs: number, value: Buffer): Buffer {
  const out = Buffer.allocUnsafe(STAMP_BYTES + value.length);
  out.writeUIntBE(wallMs, 0, STAMP_BYTES);
  value.copy(out, STAMP_BYTES);
  return out;
}

function sizeOf(key: Buffer, valueBytes: number): number {
  return key.length + STAMP_BYTES + valueBytes;
}

function older(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}

/** One entry per key: the newest of them. */
function newestOf(entries: readonly Entry[]): Entry[] {
  const newest = new Map<string, Entry>();
  for (const entry of entries) {
    const name = entry.key.toString('latin1');
    const former = newest.get(name);
    if (former === undefined) newest.set(name, entry);
    else if (mergeValues(entry.key, former.value, entry.value) === 'incoming') newest.set(name, entry);
  }
  return [...newest.values()];
}
