import type { Ring } from '../ring/ring.js';
import type { Change, OnCommit, OpenedStore } from '../storage/store.js';
import { HashTree, LEAVES, LeafSet, leafOf } from './hash-tree.js';
import { END_OF_ENTRIES, FIRST_ENTRY, scanLeaves } from './leaf-scan.js';

const SCAN_PAGE = 2_048;

export interface TreeStore extends OpenedStore {
  tree: HashTree;
  /** Entries held now. */
  entries(): number;
  /** Makes a leaf's hash and count anew: after a bad record, nobody knows what had been added for it. */
  refreshLeaf(leaf: number): Promise<void>;
}

/**
 * Opens a store with its hash tree: every record is read once, which also finds the bad ones, and from then
 * on each commit keeps the tree true.
 */
export async function openReplicaStore(
  open: (onCommit: OnCommit) => Promise<OpenedStore>,
  ring: Ring,
): Promise<TreeStore> {
  const tree = new HashTree(ring);
  let count = 0;
  /** Per leaf, so that a leaf that is made anew is counted anew as well. */
  const counts = new Uint32Array(LEAVES);
  const counted = (key: Buffer) => {
    const leaf = leafOf(key);
    counts[leaf] = counts[leaf]! + 1;
    count++;
  };
  const onCommit = (changes: readonly Change[]) => {
    for (const { key, before, after } of changes) {
      if (before === undefined) counted(key);
      else tree.toggleHash(key, before.high, before.low);
      tree.toggle(key, after);
    }
  };
  const opened = await open(onCommit);
  let from: Buffer | undefined = FIRST_ENTRY;
  while (from !== undefined) {
    const page = await opened.store.page({ from, to: END_OF_ENTRIES }, SCAN_PAGE);
    for (const { key, value } of page.entries) {
      tree.toggle(key, value);
      counted(key);
    }
    from = page.next;
  }
  const refreshLeaf = (leaf: number) =>
    opened.store.exclusively(async () => {
      const range = { from: FIRST_ENTRY, to: END_OF_ENTRIES, limit: Number.POSITIVE_INFINITY };
      const { entries } = await scanLeaves(opened.store, LeafSet.of(leaf), range);
      tree.clearLeaf(leaf);
      count -= counts[leaf]!;
      counts[leaf] = 0;
      for (const { key, value } of entries) {
        tree.toggle(key, value);
        counted(key);
      }
    });
  return { ...opened, tree, entries: () => count, refreshLeaf };
}
