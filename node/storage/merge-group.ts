import type { LRUCache } from 'lru-cache';
import { type Entry, isIntact } from '../../proto/entry.js';
import type { Engine, EngineWrite } from './engine.js';
import { mergeValues } from './kinds.js';

/**
 * Newest synced values by entry key, both as latin1 strings: compact, and they pin no network buffer. A value is
 * replaced in its place, for a second look-up of every key is felt.
 */
export type ValueCache = LRUCache<string, CachedValue>;
export interface CachedValue {
  latin1: string;
}

/** What the entries of a group come to. Parallel arrays: an object per entry is felt at 100,000 a second. */
export interface MergeOutcome {
  /** Entries that supersede what is held, one per key; they are engine writes as they are. */
  winners: EngineWrite[];
  /** Keys of the winners, and what was held under them, if it was intact. */
  keys: string[];
  before: (Buffer | undefined)[];
  /** Where the cache has that. */
  cached: (CachedValue | undefined)[];
  /** How many entries of each source list won. */
  changed: number[];
  /** Winners whose held record was bad. */
  bad: Buffer[];
  /** Keys where two values of one version differed. */
  conflicts: Buffer[];
}

/**
 * Decides which entries of several lists supersede what the engine holds. Among entries of one key the newest
 * stands for all. Reads what the cache lacks in one call.
 */
export async function decideMerge(
  engine: Engine,
  cache: ValueCache,
  lists: readonly (readonly Entry[])[],
): Promise<MergeOutcome> {
  const group = new Candidates();
  for (let source = 0; source < lists.length; source++) {
    for (const entry of lists[source]!) group.add(entry, source);
  }
  const held = await lookUp(engine, cache, group);
  const outcome: MergeOutcome = {
    winners: [],
    keys: [],
    before: [],
    cached: [],
    changed: new Array<number>(lists.length).fill(0),
    bad: [],
    conflicts: group.conflicts,
  };
  for (let i = 0; i < group.keys.length; i++) {
    const entry = group.entries[i]!;
    const former = held.values[i];
    const intact =
      former !== undefined && (!held.fromEngine.has(i) || isIntact({ key: entry.key, value: former }));
    if (intact) {
      const verdict = mergeValues(entry.key, former, entry.value);
      if (verdict === 'conflictHeld' || verdict === 'conflictIncoming') outcome.conflicts.push(entry.key);
      if (verdict !== 'incoming' && verdict !== 'conflictIncoming') continue;
    } else if (former !== undefined) {
      outcome.bad.push(entry.key);
    }
    outcome.winners.push(entry);
    outcome.keys.push(group.keys[i]!);
    outcome.before.push(intact ? former : undefined);
    outcome.cached.push(held.cached[i]);
    outcome.changed[group.sources[i]!]!++;
  }
  return outcome;
}

/** The newest entry of each key of a group. */
class Candidates {
  readonly keys: string[] = [];
  readonly entries: Entry[] = [];
  readonly sources: number[] = [];
  readonly conflicts: Buffer[] = [];
  readonly #index = new Map<string, number>();

  add(entry: Entry, source: number): void {
    const key = entry.key.toString('latin1');
    const at = this.#index.get(key);
    if (at === undefined) {
      this.#index.set(key, this.keys.length);
      this.keys.push(key);
      this.entries.push(entry);
      this.sources.push(source);
      return;
    }
    const verdict = mergeValues(entry.key, this.entries[at]!.value, entry.value);
    if (verdict === 'conflictHeld' || verdict === 'conflictIncoming') this.conflicts.push(entry.key);
    if (verdict === 'incoming' || verdict === 'conflictIncoming') {
      this.entries[at] = entry;
      this.sources[at] = source;
    }
  }
}

interface HeldValues {
  values: (Buffer | undefined)[];
  cached: (CachedValue | undefined)[];
  /** Those that came from the engine, whose checksums were not yet checked. */
  fromEngine: Set<number>;
}

async function lookUp(engine: Engine, cache: ValueCache, group: Candidates): Promise<HeldValues> {
  const values = new Array<Buffer | undefined>(group.keys.length);
  const cached = new Array<CachedValue | undefined>(group.keys.length);
  const missing: number[] = [];
  for (let i = 0; i < group.keys.length; i++) {
    const known = cache.get(group.keys[i]!);
    if (known === undefined) missing.push(i);
    else values[i] = Buffer.from(known.latin1, 'latin1');
    cached[i] = known;
  }
  const fromEngine = new Set<number>();
  if (missing.length > 0) {
    const found = await engine.getMany(missing.map((i) => group.entries[i]!.key));
    for (let m = 0; m < missing.length; m++) {
      if (found[m] === undefined) continue;
      values[missing[m]!] = found[m];
      fromEngine.add(missing[m]!);
    }
  }
  return { values, cached, fromEngine };
}
