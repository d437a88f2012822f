import { ENTRY_FORMAT, type Entry } from '../../proto/entry.js';
import type { Store } from '../storage/store.js';
import { type LeafSet, leafOf } from './hash-tree.js';

const PREFIX_BYTES = 6; // format, granularity, period: what stands before the token
const FIRST_PAGE = 16;
const LARGEST_PAGE = 1_024;

export const FIRST_ENTRY = Buffer.from([ENTRY_FORMAT]);
export const END_OF_ENTRIES = Buffer.from([ENTRY_FORMAT + 1]);

/** The smallest key greater than `key`. */
export function successor(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.from([0])]);
}

/** Entries of some leaves in key order. `more`: there may be further ones after the last. */
export interface LeafPage {
  entries: Entry[];
  more: boolean;
}

/**
 * Reads the entries of `leaves` from `from` (inclusive) to `to` (exclusive), at most `limit`. Runs of wanted
 * leaves are read in growing pages; what lies between is jumped over, per granularity and period.
 */
export async function scanLeaves(
  store: Store,
  leaves: LeafSet,
  { from, to, limit }: { from: Buffer; to: Buffer; limit: number },
): Promise<LeafPage> {
  const entries: Entry[] = [];
  let cursor: Buffer | undefined = from;
  let size = FIRST_PAGE;
  while (cursor !== undefined && cursor.compare(to) < 0) {
    const page = await store.page({ from: cursor, to }, size);
    let jump: Buffer | undefined;
    for (const entry of page.entries) {
      if (!leaves.has(leafOf(entry.key))) {
        jump = nextStart(entry.key, leaves);
        break;
      }
      entries.push(entry);
      if (entries.length >= limit) return { entries, more: true };
    }
    cursor = jump ?? page.next;
    size = jump === undefined ? Math.min(size * 4, LARGEST_PAGE) : FIRST_PAGE;
  }
  return { entries, more: false };
}

/** Where the next wanted leaf starts after an entry of an unwanted one: in its period, or in the next. */
function nextStart(key: Buffer, leaves: LeafSet): Buffer {
  const leaf = leaves.next(leafOf(key) + 1);
  if (leaf === undefined) return Buffer.concat([key.subarray(0, PREFIX_BYTES), Buffer.alloc(9, 0xff)]);
  const start = Buffer.alloc(PREFIX_BYTES + 2);
  key.copy(start, 0, 0, PREFIX_BYTES);
  start.writeUInt16BE(leaf << 4, PREFIX_BYTES);
  return start;
}
