import { decodeEntryKey, tokenOf } from '../../proto/entry.js';
import { prefixEnd, rowOfKey } from './keyspace.js';
import type { KeyRange } from './store.js';

/** The row that a bad record lies in, or undefined when its key is unreadable too. */
export function rowOfBadRecord(key: Buffer): Buffer | undefined {
  try {
    const address = decodeEntryKey(key);
    return address.token === tokenOf(address.key) ? Buffer.from(rowOfKey(key)) : undefined;
  } catch {
    return undefined;
  }
}

/** The rows that met a bad record and are not yet healed, and the bad records known in them. */
export class DamagedRows {
  readonly #rows = new Map<string, { row: Buffer; end: Buffer; bad: Set<string> }>();

  /** Whether the row is newly damaged, and whether this bad record of it is newly found. */
  add(row: Buffer, badKey: Buffer | undefined): { newRow: boolean; newRecord: boolean } {
    const name = row.toString('latin1');
    let damaged = this.#rows.get(name);
    const newRow = damaged === undefined;
    if (damaged === undefined) {
      damaged = { row, end: prefixEnd(row), bad: new Set() };
      this.#rows.set(name, damaged);
    }
    const key = badKey?.toString('latin1');
    const newRecord = key !== undefined && !damaged.bad.has(key);
    if (key !== undefined) damaged.bad.add(key);
    return { newRow, newRecord };
  }

  knows(row: Buffer, badKey: Buffer): boolean {
    return this.#rows.get(row.toString('latin1'))?.bad.has(badKey.toString('latin1')) === true;
  }

  remove(row: Buffer): boolean {
    return this.#rows.delete(row.toString('latin1'));
  }

  list(): Buffer[] {
    return Array.from(this.#rows.values(), ({ row }) => row);
  }

  /** Whether a damaged row has any key of the range. */
  touches(range: KeyRange): boolean {
    for (const { row, end } of this.#rows.values()) {
      if (row.compare(range.to) < 0 && range.from.compare(end) < 0) return true;
    }
    return false;
  }
}
