import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { branchNode, FANOUT, HashTree, leafOf, ROOT } from '../../../node/repair/hash-tree.js';
import { openStore, shardEntry, World } from '../quorum/world.js';

/** All leaves of a tree, as one text. */
const leavesOf = (tree: HashTree) => {
  const nodes = [ROOT, ...Array.from({ length: FANOUT }, (_, i) => branchNode(i))];
  return nodes.map((node) => tree.children(node, ['a', 'b']).toString('hex')).join('');
};

async function opened() {
  const world = await World.open();
  const a = world.node('a');
  /** The tree that a scan of the store makes. */
  const twin = async () => {
    const tree = new HashTree(world.ring);
    for (const { key, value } of await a.entries()) tree.toggle(key, value);
    return leavesOf(tree);
  };
  return { world, a, twin };
}

describe('a store with its hash tree', () => {
  it('keeps the tree and the number of entries true over merges, and makes the same ones at the next start', async () => {
    const step = fc.array(
      fc.record({ key: fc.constantFrom('x', 'y', 'z', 'q'), sequence: fc.integer({ min: 1, max: 5 }) }),
      { minLength: 1, maxLength: 6 },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
        const { world, a, twin } = await opened();
        for (const specs of steps) {
          await world.time.settle(a.context.replica.merge(specs.map(shardEntry)));
          expect(leavesOf(a.opened.tree)).toBe(await twin());
        }
        expect(a.opened.entries()).toBe((await a.entries()).length);
        await a.opened.store.close();
        const again = await world.time.settle(openStore(world, 'a', a.disk));
        expect(leavesOf(again.tree)).toBe(leavesOf(a.opened.tree));
        expect(again.entries()).toBe(a.opened.entries());
      }),
      { numRuns: 30, seed: 4 },
    );
  });

  it('makes a leaf anew from what is stored, in the middle of merges', async () => {
    const { world, a, twin } = await opened();
    const entries = Array.from({ length: 50 }, (_, i) => shardEntry({ key: `video-${i}` }));
    await world.time.settle(a.context.replica.merge(entries));
    const { key } = entries[20]!;
    a.opened.tree.toggle(key, Buffer.from('somebody knows what was there')); // as a bad record leaves it
    expect(leavesOf(a.opened.tree)).not.toBe(await twin());
    const later = [shardEntry({ key: 'video-20', sequence: 2 }), shardEntry({ key: 'new' })];
    const merges = [
      a.context.replica.merge([later[0]!]),
      a.opened.refreshLeaf(leafOf(key)),
      a.context.replica.merge([later[1]!]),
    ];
    await world.time.settle(Promise.all<unknown>(merges));
    expect(leavesOf(a.opened.tree)).toBe(await twin());
  });
});
