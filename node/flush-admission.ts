import type { FlushReply } from '../proto/calls.js';
import { columnName, decodeColumn } from '../proto/column.js';
import { cellOfEntry, decodeEntryKey, type Entry, KIND, kindOfEntry } from '../proto/entry.js';
import { type ErrorData, errorToData, TallyringError } from '../proto/errors.js';
import type { Limits } from './config.js';
import { columnsRow } from './queries.js';
import { rowRanges } from './quorum/row-ranges.js';
import type { Store } from './storage/store.js';

/** What a client's flush may bring in, beside what any replica checks of an entry. */

/** A value of the far future could never be replaced, for nobody's clock gets there. */
const MAX_COLUMN_AHEAD_MS = 3_600_000;

export interface AdmissionParts {
  store: Store;
  limits: Pick<Limits, 'maxColumnBytes' | 'maxColumnsPerKey'>;
  /** Whether an entry's cell has so many shards that no new producer is let in. */
  isFull(entryKey: Buffer): boolean;
}

/** Throws INVALID_ARGUMENT for a column that no client may write. */
export function checkColumn(value: Buffer, limits: AdmissionParts['limits'], nowMs: number): void {
  const { timeMs, text } = decodeColumn(value);
  if (timeMs > nowMs + MAX_COLUMN_AHEAD_MS) {
    const ahead = `the time ${timeMs} of a column is more than an hour ahead of this node's ${nowMs}`;
    throw new TallyringError('INVALID_ARGUMENT', `${ahead}: set the clock of the one that is wrong`);
  }
  if (text !== null && Buffer.byteLength(text) > limits.maxColumnBytes) {
    throw new TallyringError('INVALID_ARGUMENT', `a column has at most ${limits.maxColumnBytes} bytes`);
  }
}

/**
 * Indexes of the entries that are not let in, with the reason: a new producer in a cell that has too many, a new
 * column of a key that has too many. By what this node holds: coordinators that replicate the key refuse.
 */
export async function refusedOf(
  entries: readonly Entry[],
  parts: AdmissionParts,
): Promise<ReadonlyMap<number, ErrorData>> {
  const indexes = [...entries.keys()];
  const columns = indexes.filter((i) => kindOfEntry(entries[i]!.key) === KIND.column);
  const suspects = indexes.filter(
    (i) => kindOfEntry(entries[i]!.key) === KIND.shard && parts.isFull(entries[i]!.key),
  );
  if (columns.length === 0 && suspects.length === 0) return NONE;
  const refused = new Map<number, ErrorData>();
  const held = await parts.store.get(suspects.map((i) => entries[i]!.key));
  for (const [at, i] of suspects.entries()) if (held[at] === undefined) refused.set(i, TOO_MANY_PRODUCERS);
  const error = tooManyColumns(parts.limits.maxColumnsPerKey);
  for (const i of await columnsBeyond(entries, columns, parts)) refused.set(i, error);
  return refused;
}

/** Those of these columns that are new to keys which have as many as they may. */
async function columnsBeyond(
  entries: readonly Entry[],
  columns: readonly number[],
  { store, limits }: AdmissionParts,
): Promise<number[]> {
  const byRow = new Map<string, number[]>();
  for (const i of columns) {
    const row = cellOfEntry(entries[i]!.key).toString('latin1');
    byRow.set(row, [...(byRow.get(row) ?? []), i]);
  }
  const rows = [...byRow.values()];
  const ranges = rows.flatMap(([i]) => rowRanges(columnsRow(decodeEntryKey(entries[i!]!.key).key)));
  const reads = await store.read(ranges);
  return rows.flatMap((indexes, at) => {
    const held = reads[at]!.entries.filter(({ key }) => kindOfEntry(key) === KIND.column);
    const names = new Set(held.map(({ key }) => columnName(key)));
    return indexes.filter((i) => {
      const name = columnName(entries[i]!.key);
      if (!names.has(name) && names.size >= limits.maxColumnsPerKey) return true;
      names.add(name);
      return false;
    });
  });
}

/** Writes all but the refused entries; failures go by the indexes of the whole batch. */
export async function withRefused(
  refused: ReadonlyMap<number, ErrorData>,
  entries: readonly Entry[],
  write: (rest: readonly Entry[]) => Promise<FlushReply>,
): Promise<FlushReply> {
  if (refused.size === 0) return write(entries);
  const kept = [...entries.keys()].filter((i) => !refused.has(i));
  const { failures } = kept.length === 0 ? { failures: [] } : await write(kept.map((i) => entries[i]!));
  const moved = failures.map((failure) => ({ ...failure, indexes: failure.indexes.map((j) => kept[j]!) }));
  return { failures: [...moved, ...[...refused].map(([i, error]) => ({ indexes: [i], error }))] };
}

const NONE: ReadonlyMap<number, ErrorData> = new Map();

const TOO_MANY_PRODUCERS = errorToData(
  new TallyringError(
    'OVERLOADED',
    'a cell has too many producers already: let fewer processes count this key',
    { retryable: false },
  ),
);

function tooManyColumns(maxColumnsPerKey: number): ErrorData {
  const text = `a key has at most ${maxColumnsPerKey} columns, deleted ones included: use those that are there`;
  return errorToData(new TallyringError('OVERLOADED', text, { retryable: false }));
}
