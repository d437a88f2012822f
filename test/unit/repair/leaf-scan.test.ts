import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LeafSet, leafOf } from '../../../node/repair/hash-tree.js';
import { END_OF_ENTRIES, FIRST_ENTRY, scanLeaves, successor } from '../../../node/repair/leaf-scan.js';
import type { Entry } from '../../../proto/entry.js';
import { shardEntry, World } from '../quorum/world.js';

/** Keys whose leaves are next to each other are rare by chance: these crowd at both ends and in the middle. */
const CROWDED = (leaf: number) => leaf < 4 || (leaf >= 2_000 && leaf < 2_024) || leaf >= 4_092;
const POOL = Array.from({ length: 20_000 }, (_, i) => `video-${i}`).filter((key) =>
  CROWDED(leafOf(shardEntry({ key }).key)),
);
const EVERY_OTHER = Array.from({ length: 2_048 }, (_, i) => i * 2);
const spec = fc.record({
  key: fc.constantFrom(...POOL),
  hour: fc.constantFrom(undefined, 1, 2, 4_095, 4_096, 480_000),
  producer: fc.integer({ min: 1, max: 3 }),
});

async function storeOf(entries: Entry[]) {
  const world = await World.open({ nodes: { a: 'dc1' }, replication: { dc1: 1 } });
  const { store } = world.node('a').opened;
  if (entries.length > 0) await world.time.settle(store.merge(entries));
  const sorted = await world.node('a').entries();
  return { store, sorted };
}

const hex = (entries: readonly Entry[]) => entries.map(({ key }) => key.toString('hex'));

describe('leaf scan', () => {
  it('finds what a filter over all entries finds, whatever the leaves, bounds and limit', async () => {
    const leavesOf = fc.oneof(
      fc.subarray(POOL).map((keys) => keys.map((key) => leafOf(shardEntry({ key }).key))),
      fc.array(fc.integer({ min: 0, max: 4_095 }), { maxLength: 2_000 }),
      fc.constantFrom([0, 4_095], EVERY_OTHER),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(spec, { maxLength: 400, size: 'max' }),
        leavesOf,
        fc.tuple(fc.nat(200), fc.integer({ min: 100, max: 600 })),
        fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constant(Number.POSITIVE_INFINITY)),
        async (specs, wanted, [first, second], limit) => {
          const { store, sorted } = await storeOf(specs.map(shardEntry));
          const leaves = new LeafSet();
          for (const leaf of wanted) leaves.add(leaf);
          const from = (first < 50 ? undefined : sorted[first]?.key) ?? FIRST_ENTRY;
          const to = sorted[second]?.key ?? END_OF_ENTRIES;
          const naive = sorted.filter(
            ({ key }) => key.compare(from) >= 0 && key.compare(to) < 0 && leaves.has(leafOf(key)),
          );
          const { entries, more } = await scanLeaves(store, leaves, { from, to, limit });
          expect(hex(entries)).toEqual(hex(naive.slice(0, limit)));
          if (!more) expect(entries).toHaveLength(naive.length);
          else expect(entries).toHaveLength(limit);
        },
      ),
      { numRuns: 100, seed: 5 },
    );
  });

  it('gives every entry once when it goes on after the last of each page', async () => {
    const { store, sorted } = await storeOf(POOL.map((key, i) => shardEntry({ key, hour: i % 3 })));
    for (const limit of [1, 7, 16, 64, 300]) {
      const found: Entry[] = [];
      let from: Buffer = FIRST_ENTRY;
      for (;;) {
        const page = await scanLeaves(store, LeafSet.all(), { from, to: END_OF_ENTRIES, limit });
        found.push(...page.entries);
        if (!page.more) break;
        from = successor(page.entries.at(-1)!.key);
      }
      expect(hex(found)).toEqual(hex(sorted));
    }
  });

  it('reads the whole of nothing when nothing is asked', async () => {
    const { store } = await storeOf(POOL.map((key) => shardEntry({ key })));
    const range = { from: FIRST_ENTRY, to: END_OF_ENTRIES };
    const none = await scanLeaves(store, new LeafSet(), { ...range, limit: 10 });
    expect(none).toEqual({ entries: [], more: false });
    const zero = await scanLeaves(store, LeafSet.all(), { ...range, limit: 0 });
    expect(zero.entries.length).toBeLessThanOrEqual(1);
    expect(zero.more).toBe(true);
  });
});
