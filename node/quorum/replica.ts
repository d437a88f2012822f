import { decodeBatch, type Entry, encodeBatch } from '../../proto/entry.js';
import { TallyringError } from '../../proto/errors.js';
import type { RowQuery } from '../../proto/peer-message.js';
import { checkEntry } from '../storage/kinds.js';
import type { Store } from '../storage/store.js';
import { rowRanges } from './row-ranges.js';

/** Rows that are in memory before it is known how large they are. */
const ROWS_AT_A_TIME = 16;

export interface RowsAnswer {
  /** Per query: whether the entries are all that this replica ever acknowledged. */
  whole: boolean[];
  entries: Entry[][];
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
    for (const entry of entries) checkEntry(entry);
    return this.merge(entries);
  }

  /**
   * Reads the first of these rows, as many as fit into one answer, at least one: memory and messages stay
   * bounded whatever is asked. Throws INVALID_ARGUMENT when one row alone is too large.
   */
  async read(queries: readonly RowQuery[], one: boolean): Promise<RowsAnswer> {
    const answer: RowsAnswer = { whole: [], entries: [] };
    let bytes = 0;
    for (let at = 0; at < queries.length; at += ROWS_AT_A_TIME) {
      // Asked before the store is read: what recovery brings meanwhile is in doubt still.
      const answerable = one || this.#isWhole();
      for (const row of await this.#readSome(queries.slice(at, at + ROWS_AT_A_TIME))) {
        bytes += row.bytes;
        if (bytes > this.#maxAnswerBytes) {
          if (answer.whole.length > 0) return answer;
          throw tooLarge(queries[0]!, row.bytes);
        }
        answer.whole.push(answerable && row.intact);
        answer.entries.push(row.entries);
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

function tooLarge({ key, eventType }: RowQuery, bytes: number): TallyringError {
  const text = `${key} ${eventType} has ${bytes} bytes of shards in the range asked for: ask for a shorter one`;
  return new TallyringError('INVALID_ARGUMENT', text);
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
