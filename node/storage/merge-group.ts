import { type Entry, isIntact } from '../../proto/entry.js';
import type { Engine, EngineWrite } from './engine.js';
import { type Held, type HeldCache, heldOf, judge } from './held-cache.js';
import { mergeValues, type Verdict } from './kinds.js';

/** What the entries of a group come to. Parallel arrays: an object per entry is felt at 100,000 a second. */
export interface MergeOutcome {
  /** Entries that supersede what is held, one per key; they are engine writes as they are. */
  winners: EngineWrite[];
  /** Keys of the winners, and what was held under them, if it was intact. */
  keys: string[];
  before: (Held | undefined)[];
  /** Whether that is the cache's own. */
  isCached: boolean[];
  /** How many entries of each source list won. */
  changed: number[];
  /** Winners whose held record was bad. */
  bad: Buffer[];
  /** Keys where two values of one version differed. */
  conflicts: Buffer[];
}

/**
 * Decides which entries of several lists supersede what the engine holds. Among entries of one key the newest
 * stands for all. Reads what the cache cannot decide in one call.
 */
export async function decideMerge(
  engine: Engine,
  cache: HeldCache,
  lists: readonly (readonly Entry[])[],
): Promise<MergeOutcome> {
  const group = new Candidates(cache);
  for (let source = 0; source < lists.length; source++) {
    for (const entry of lists[source]!) group.add(entry, source);
  }
  const decision = new Decision(group, lists.length);
  const open = decision.byCache();
  if (open.length > 0) await decision.byEngine(engine, open);
  return decision.outcome;
}

class Decision {
  readonly outcome: MergeOutcome;
  readonly #group: Candidates;

  constructor(group: Candidates, sources: number) {
    this.#group = group;
    this.outcome = {
      winners: [],
      keys: [],
      before: [],
      isCached: [],
      changed: new Array<number>(sources).fill(0),
      bad: [],
      conflicts: group.conflicts,
    };
  }

  /** Gives the indexes that stay open. */
  byCache(): number[] {
    const { keys, entries, known } = this.#group;
    const open: number[] = [];
    for (let i = 0; i < keys.length; i++) {
      const held = known[i];
      const verdict = held === undefined ? undefined : judge(held, entries[i]!);
      if (verdict === undefined) open.push(i);
      else if (verdict === 'incoming') this.#win(i, held, true);
    }
    return open;
  }

  async byEngine(engine: Engine, open: readonly number[]): Promise<void> {
    const { entries } = this.#group;
    const values = await engine.getMany(open.map((i) => entries[i]!.key));
    for (let at = 0; at < open.length; at++) {
      const entry = entries[open[at]!]!;
      const value = values[at];
      const former = value && { key: entry.key, value };
      if (former === undefined || !isIntact(former)) {
        if (former !== undefined) this.outcome.bad.push(entry.key);
        this.#win(open[at]!, undefined, false);
        continue;
      }
      const verdict = mergeValues(entry.key, former.value, entry.value);
      if (isConflict(verdict)) this.outcome.conflicts.push(entry.key);
      if (isIncoming(verdict)) this.#win(open[at]!, heldOf(former), false);
    }
  }

  #win(i: number, before: Held | undefined, isCached: boolean): void {
    const { outcome } = this;
    outcome.winners.push(this.#group.entries[i]!);
    outcome.keys.push(this.#group.keys[i]!);
    outcome.before.push(before);
    outcome.isCached.push(isCached);
    outcome.changed[this.#group.sources[i]!]!++;
  }
}

function isConflict(verdict: Verdict): boolean {
  return verdict === 'conflictHeld' || verdict === 'conflictIncoming';
}

function isIncoming(verdict: Verdict): boolean {
  return verdict === 'incoming' || verdict === 'conflictIncoming';
}

/** The newest entry of each key of a group, and what the cache knows of it. */
class Candidates {
  readonly keys: string[] = [];
  readonly entries: Entry[] = [];
  readonly sources: number[] = [];
  readonly known: (Held | undefined)[] = [];
  readonly conflicts: Buffer[] = [];
  readonly #cache: HeldCache;
  readonly #number: number;
  /** Where the keys are that the cache does not know. */
  readonly #index = new Map<string, number>();

  constructor(cache: HeldCache) {
    this.#cache = cache;
    this.#number = cache.nextGroup();
  }

  add(entry: Entry, source: number): void {
    const key = entry.key.toString('latin1');
    const held = this.#cache.get(key);
    const at = this.#find(key, held);
    if (at === undefined) {
      this.keys.push(key);
      this.entries.push(entry);
      this.sources.push(source);
      this.known.push(held);
      return;
    }
    const verdict = mergeValues(entry.key, this.entries[at]!.value, entry.value);
    if (isConflict(verdict)) this.conflicts.push(entry.key);
    if (isIncoming(verdict)) {
      this.entries[at] = entry;
      this.sources[at] = source;
    }
  }

  /** Where the key stands already; undefined for a new one, which is to stand last. */
  #find(key: string, held: Held | undefined): number | undefined {
    if (held !== undefined) {
      if (held.group === this.#number) return held.at;
      held.group = this.#number;
      held.at = this.keys.length;
      return undefined;
    }
    const at = this.#index.get(key);
    if (at === undefined) this.#index.set(key, this.keys.length);
    return at;
  }
}
