import { decodeBatch, type Entry, encodeBatch } from '../../proto/entry.js';
import { TallyringError } from '../../proto/errors.js';
import type { RowQuery } from '../../proto/peer-message.js';
import { checkEntry } from '../storage/kinds.js';
import type { Store } from '../storage/store.js';
import { rowRanges } from './row-ranges.js';

export interface RowsAnswer {
  /** Per query: whether the entries are all that this replica ever acknowledged. */
  whole: boolean[];
  entries: Entry[][];
}

/** A node in its role for a key: what it does with its own store, for itself and for other coordinators. */
export class Replica {
  readonly store: Store;
  readonly #isWhole: () => boolean;

  /** `isWhole`: false while the node is recovering (DESIGN §7): then it answers reads at ONE only. */
  constructor(store: Store, isWhole: () => boolean) {
    this.store = store;
    this.#isWhole = isWhole;
  }

  get whole(): boolean {
    return this.#isWhole();
  }

  /** Resolves with the number of the newest synced batch, once the entries are durable here. */
  async merge(entries: readonly Entry[]): Promise<number> {
    const { batch } = await this.store.merge(entries);
    return batch;
  }

  /** Merges what came over a wire: every entry is checked first, so all of it is merged or nothing. */
  mergeBatch(batch: Buffer): Promise<number> {
    const entries = decodeBatch(batch);
    for (const entry of entries) checkEntry(entry);
    return this.merge(entries);
  }

  async read(queries: readonly RowQuery[], one: boolean): Promise<RowsAnswer> {
    const answerable = one || this.#isWhole();
    const perQuery = queries.map(rowRanges);
    const reads = await this.store.read(perQuery.flat());
    const answer: RowsAnswer = { whole: [], entries: [] };
    let at = 0;
    for (const ranges of perQuery) {
      const own = reads.slice(at, at + ranges.length);
      at += ranges.length;
      // Not whole before or after the store was read: what recovery changed meanwhile does not matter.
      answer.whole.push(answerable && !own.some((read) => read.damaged));
      answer.entries.push(own.flatMap((read) => read.entries));
    }
    return answer;
  }
}

/** The wire form of a read's answer, and back. */
export function packRows(answer: RowsAnswer): { whole: boolean[]; counts: number[]; batch: Buffer } {
  const counts = answer.entries.map((entries) => entries.length);
  return { whole: answer.whole, counts, batch: encodeBatch(answer.entries.flat()) };
}

export function unpackRows(reply: { whole: boolean[]; counts: number[]; batch: Buffer }): RowsAnswer {
  const flat = decodeBatch(reply.batch);
  let at = 0;
  const entries = reply.counts.map((count) => {
    at += count;
    return flat.slice(at - count, at);
  });
  if (at !== flat.length || entries.length !== reply.whole.length) {
    throw new TallyringError('INVALID_ARGUMENT', 'a read reply does not add up');
  }
  return { whole: reply.whole, entries };
}
