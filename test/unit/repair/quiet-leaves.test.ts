import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DifferingLeaf, QuietLeaves } from '../../../node/repair/quiet-leaves.js';

const differing = (leaves: readonly number[], hash: (leaf: number) => bigint): DifferingLeaf[] =>
  leaves.map((leaf) => ({ leaf, mine: hash(leaf), theirs: hash(leaf) + 1n }));

describe('quiet leaves', () => {
  it('takes all that differ unchanged since the last comparison, and a bounded number of the others', () => {
    const leaf = fc.integer({ min: 0, max: 200 });
    fc.assert(
      fc.property(
        fc.uniqueArray(leaf),
        fc.uniqueArray(leaf),
        fc.uniqueArray(leaf),
        (first, second, moved) => {
          const chooser = new QuietLeaves(4);
          chooser.choose('n2', differing(first, BigInt));
          const { leaves, left } = chooser.choose(
            'n2',
            differing(second, (one) => BigInt(moved.includes(one) ? one + 1_000 : one)),
          );
          const quiet = second.filter((one) => first.includes(one) && !moved.includes(one));
          const noisy = second.filter((one) => !quiet.includes(one));
          expect(leaves.slice(0, quiet.length)).toEqual(quiet);
          expect(leaves.length).toBe(quiet.length + Math.min(4, noisy.length));
          expect(left).toBe(noisy.length - Math.min(4, noisy.length));
          expect(new Set(leaves).size).toBe(leaves.length);
        },
      ),
    );
  });

  it('comes round to every noisy leaf', () => {
    const chooser = new QuietLeaves(3);
    const leaves = Array.from({ length: 10 }, (_, i) => i);
    const taken = new Set<number>();
    for (let round = 0; round < 4; round++) {
      const choice = chooser.choose(
        'n2',
        differing(leaves, (one) => BigInt(one + 100 * round)),
      );
      for (const one of choice.leaves) taken.add(one);
    }
    expect(taken.size).toBe(10);
  });
});
