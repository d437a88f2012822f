import { decodeBatch, encodeBatch } from '../../proto/batch.js';
import type { Entry } from '../../proto/entry.js';
import { TallyringError } from '../../proto/errors.js';
import type { ReplyBody, RowQuery } from '../../proto/peer-message.js';
import { checkEntry } from '../storage/kinds.js';
import type { Store } from '../storage/store.js';
import { rowRanges } from './row-ranges.js';

/** Rows that are in memory before it is known how large they are. */
const ROWS_AT_A_TIME = 16;

export interface RowsAnswer {
  /** Per query: whether the entries are all that this replica ever acknowledged. */
  whole: boolean[];
  entries: Entry[][];
  /** Indexes of the queries whose rows alone are more than an answer may hold: not whole, no entries. */
  tooLarge: number[];
}

/** A node in its role for a key: what it does with its own store, for itself and for other coordinators. */
export class Replica {
  readonly store: Store;
  readonly #isWhole: () => boolean;
  readonly #maxAnswerBytes: number;

  /** `isWhole`: false while the node is recovering (DESIGN §7): then it answers reads at ONE only. */
  constructor(store: Store, isWhole: () => boolean, maxAnswerBytes = Number.POSITIVE_INFINITY) {
    this.store = store;
    this.#isWhole = isWhole;
    this.#maxAnswerBytes = maxAnswerBytes;
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
    for (let i = 0; i < entries.length; i++) checkEntry(entries[i]!, entries[i - 1]);
    return this.merge(entries);
  }

  /**
   * Reads the first of these rows, as many as fit into one answer, at least one: memory and messages stay
   * bounded whatever is asked.
   */
  async read(queries: readonly RowQuery[], one: boolean): Promise<RowsAnswer> {
    const answer: RowsAnswer = { whole: [], entries: [], tooLarge: [] };
    let bytes = 0;
    for (let at = 0; at < queries.length; at += ROWS_AT_A_TIME) {
      // Asked before the store is read: what recovery brings meanwhile is in doubt still.
      const answerable = one || this.#isWhole();
      for (const row of await this.#readSome(queries.slice(at, at + ROWS_AT_A_TIME))) {
        const fits = row.bytes <= this.#maxAnswerBytes;
        if (fits) bytes += row.bytes;
        else answer.tooLarge.push(answer.whole.length);
        if (bytes > this.#maxAnswerBytes) return answer;
        answer.whole.push(fits && answerable && row.intact);
        answer.entries.push(fits ? row.entries : []);
      }
    }
    return answer;
  }

  async #readSome(queries: readonly RowQuery[]) {
    const perQuery = queries.map(rowRanges);
    const reads = await this.store.read(perQuery.flat());
    let at = 0;
    return perQuery.map((ranges) => {
      at += ranges.length;
      const own = reads.slice(at - ranges.length, at);
      const entries = own.flatMap((read) => read.entries);
      const bytes = entries.reduce((sum, { key, value }) => sum + key.length + value.length, 0);
      return { entries, bytes, intact: !own.some((read) => read.damaged) };
    });
  }
}

/** All rows, in as many answers as it takes. */
export async function readAll(
  replica: Replica,
  queries: readonly RowQuery[],
  one: boolean,
): Promise<RowsAnswer> {
  const all: RowsAnswer = { whole: [], entries: [], tooLarge: [] };
  while (all.whole.length < queries.length) {
    const { whole, entries, tooLarge } = await replica.read(queries.slice(all.whole.length), one);
    all.tooLarge.push(...tooLarge.map((i) => i + all.whole.length));
    all.whole.push(...whole);
    all.entries.push(...entries);
  }
  return all;
}

/** The wire form of a read's answer, and back. */
export function packRows(answer: RowsAnswer): ReplyBody<'read'> {
  const counts = answer.entries.map((entries) => entries.length);
  return {
    whole: answer.whole,
    counts,
    tooLarge: answer.tooLarge,
    batch: encodeBatch(answer.entries.flat()),
  };
}

export function unpackRows(reply: ReplyBody<'read'>): RowsAnswer {
  const flat = decodeBatch(reply.batch);
  let at = 0;
  const entries = reply.counts.map((count) => {
    at += count;
    return flat.slice(at - count, at);
  });
  if (at !== flat.length || entries.length !== reply.whole.length) {
    throw new TallyringError('INVALID_ARGUMENT', 'a read reply does not add up');
  }
  return { whole: reply.whole, entries, tooLarge: reply.tooLarge };
}
