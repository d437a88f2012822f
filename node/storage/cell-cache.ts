import { LRUCache } from 'lru-cache';
import type { Entry } from '../../proto/entry.js';
import { rowOfKey } from './keyspace.js';
import type { KeyRange } from './store.js';

const WINDOW_BYTES = 6;

/** What a read must bring back to have its result remembered. */
export interface ReadStart {
  commits: number;
}

/**
 * The shards of cells that were read of late, as they lie on disk: a row read costs a thread's turn and a seek
 * in every table, and hot counters are read again and again.
 *
 * What is remembered always equals what a read of the engine would give. A commit forgets its cells before its
 * write begins, for from then on a read may see it; and only a read that no write overlapped is remembered, for
 * it alone is known to have seen the newest. Else a cell could be answered older than it was answered before,
 * and quorum reads could go backwards.
 */
export class CellCache {
  readonly #cells: LRUCache<string, readonly Entry[]>;
  /** Commits begun so far. */
  #commits = 0;
  #writing = false;

  constructor(maxCells: number) {
    this.#cells = new LRUCache({ max: maxCells });
  }

  /** The entries of one whole cell. */
  get(range: KeyRange): readonly Entry[] | undefined {
    return this.#cells.size === 0 ? undefined : this.#cells.get(nameOf(range.from));
  }

  /** A read of the engine begins; undefined when its result must not be remembered. */
  begin(): ReadStart | undefined {
    return this.#writing ? undefined : { commits: this.#commits };
  }

  /** The result of a read, of one whole cell and intact. */
  remember(range: KeyRange, entries: readonly Entry[], start: ReadStart | undefined): void {
    if (start === undefined || start.commits !== this.#commits) return;
    this.#cells.set(nameOf(range.from), entries);
  }

  /** A commit is about to write these entries. */
  beginCommit(entryKeys: Iterable<Buffer>): void {
    this.#commits++;
    this.#writing = true;
    if (this.#cells.size === 0) return;
    for (const key of entryKeys) {
      this.#cells.delete(key.toString('latin1', 0, rowOfKey(key).length + WINDOW_BYTES));
    }
  }

  /** Its write is through. After one that failed the store answers nothing any more. */
  endCommit(): void {
    this.#writing = false;
  }

  /** Something other than a commit changed, or may change, what lies on disk. */
  clear(): void {
    this.#commits++;
    this.#cells.clear();
  }
}

/** Whether a range is just the entries of one cell: from a window to the next one of the same row. */
export function isOneCell({ from, to }: KeyRange): boolean {
  const at = from.length - WINDOW_BYTES;
  if (from.length !== to.length || at <= 0 || from.compare(to, 0, at, 0, at) !== 0) return false;
  if (rowOfKey(from).length !== at) return false;
  return to.readUIntBE(at, WINDOW_BYTES) === from.readUIntBE(at, WINDOW_BYTES) + 1;
}

function nameOf(from: Buffer): string {
  return from.toString('latin1');
}
