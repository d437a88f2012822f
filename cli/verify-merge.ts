/** One replica's entries in key order: a page at a time. */
export interface Cursor {
  nodeId: string;
  /** The next entry, or undefined at the end; `fill` makes it so. */
  peek(): { key: Buffer; hash: bigint } | undefined;
  advance(): void;
  /** Whether `peek` must wait for the next page first. */
  needsPage(): boolean;
  fill(): Promise<void>;
}

export interface ScanPage {
  keys: Buffer[];
  /** 8 bytes each. */
  hashes: Buffer;
  more: boolean;
}

export type Scan = (after: Buffer | undefined) => Promise<ScanPage>;

export function createCursor(nodeId: string, scan: Scan): Cursor {
  let page: ScanPage = { keys: [], hashes: Buffer.alloc(0), more: true };
  let at = 0;
  let last: Buffer | undefined;
  return {
    nodeId,
    peek: () =>
      at < page.keys.length ? { key: page.keys[at]!, hash: page.hashes.readBigUInt64BE(at * 8) } : undefined,
    advance: () => {
      at++;
    },
    needsPage: () => at >= page.keys.length && page.more,
    async fill() {
      last = page.keys.at(-1) ?? last;
      page = await scan(last);
      at = 0;
      if (page.hashes.length !== page.keys.length * 8)
        throw new Error(
          `node ${nodeId} sent ${page.keys.length} keys but ${page.hashes.length} bytes of hashes`,
        );
    },
  };
}

/** What each holder of one entry has of it; a node that is not in it lacks the entry. */
export interface EntryHolders {
  key: Buffer;
  hashes: ReadonlyMap<string, bigint>;
}

/**
 * Calls back with every distinct key of all cursors, in order, and who holds it with what hash. The map is
 * reused: read it at once. Memory: one page per cursor.
 */
export async function mergeScans(
  cursors: readonly Cursor[],
  visit: (holders: EntryHolders) => void,
): Promise<void> {
  const hashes = new Map<string, bigint>();
  for (;;) {
    const empty = cursors.filter((cursor) => cursor.needsPage());
    if (empty.length > 0) {
      await Promise.all(empty.map((cursor) => cursor.fill()));
      continue; // a page may be empty and not the last
    }
    let least: Buffer | undefined;
    for (const cursor of cursors) {
      const next = cursor.peek();
      if (next !== undefined && (least === undefined || Buffer.compare(next.key, least) < 0))
        least = next.key;
    }
    if (least === undefined) return;
    hashes.clear();
    for (const cursor of cursors) {
      const next = cursor.peek();
      if (next?.key.equals(least) !== true) continue;
      hashes.set(cursor.nodeId, next.hash);
      cursor.advance();
    }
    visit({ key: least, hashes });
  }
}

/** Of an entry: replicas that lack it, and whether those that have it differ. */
export function differenceOf(
  replicas: readonly string[],
  hashes: ReadonlyMap<string, bigint>,
): { lacking: string[]; differ: boolean } | undefined {
  let first: bigint | undefined;
  let differ = false;
  let lacking: string[] | undefined;
  for (const nodeId of replicas) {
    const hash = hashes.get(nodeId);
    if (hash === undefined) {
      lacking ??= [];
      lacking.push(nodeId);
    } else if (first === undefined) first = hash;
    else if (first !== hash) differ = true;
  }
  return lacking === undefined && !differ ? undefined : { lacking: lacking ?? [], differ };
}
