import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  branchNode,
  differing,
  FANOUT,
  HashTree,
  LEAVES,
  LeafSet,
  leafOf,
  ROOT,
} from '../../../node/repair/hash-tree.js';
import { buildRing } from '../../../node/ring/build.js';
import { type Entry, encodeShard, shardKey, tokenOf } from '../../../proto/entry.js';

const names = (count: number) => Array.from({ length: count }, (_, i) => `n${i + 1}`);
const ringOf = (count: number) =>
  buildRing({
    epoch: 1,
    nodes: names(count).map((nodeId) => ({ nodeId, datacenter: 'dc1', rack: 'r1' })),
    vnodes: 16,
    replication: { dc1: 3 },
  });

function entry(name: number, sequence: number): Entry {
  const key = `video-${name}`;
  const cell = { key, eventType: 'view', granularity: 'total', window: 0 } as const;
  const shard = { sequence, count: sequence, sum: 1, min: 1, max: 1 };
  return encodeShard(shardKey(cell, tokenOf(key), Buffer.alloc(16, 1)), shard);
}

function treeOf(ring: ReturnType<typeof ringOf>, entries: Iterable<Entry>): HashTree {
  const tree = new HashTree(ring);
  for (const { key, value } of entries) tree.toggle(key, value);
  return tree;
}

const held = fc.dictionary(fc.integer({ min: 0, max: 30 }).map(String), fc.integer({ min: 1, max: 3 }));
const entriesOf = (state: Record<string, number>) =>
  Object.entries(state).map(([n, s]) => entry(Number(n), s));

describe('hash tree', () => {
  it('names exactly the leaves in which what both nodes replicate differs', () => {
    const ring = ringOf(5);
    fc.assert(
      fc.property(held, held, (a, b) => {
        const shared = (e: Entry) => {
          const members = ring.replicasOf(e.key.readBigUInt64BE(6)).nodeIds;
          return members.includes('n1') && members.includes('n2');
        };
        const [ofA, ofB] = [entriesOf(a), entriesOf(b)];
        const [treeA, treeB] = [treeOf(ring, ofA), treeOf(ring, ofB)];
        const found: number[] = [];
        for (const { child: branch } of differing(
          treeA.children(ROOT, ['n1', 'n2']),
          treeB.children(ROOT, ['n2', 'n1']),
        )) {
          const node = branchNode(branch);
          for (const { child } of differing(
            treeA.children(node, ['n1', 'n2']),
            treeB.children(node, ['n2', 'n1']),
          )) {
            found.push(branch * FANOUT + child);
          }
        }
        const text = (e: Entry) => e.key.toString('hex') + e.value.toString('hex');
        const [textA, textB] = [new Set(ofA.map(text)), new Set(ofB.map(text))];
        const odd = [...ofA.filter((e) => !textB.has(text(e))), ...ofB.filter((e) => !textA.has(text(e)))];
        expect(found).toEqual(
          [...new Set(odd.filter(shared).map((e) => leafOf(e.key)))].sort((x, y) => x - y),
        );
      }),
    );
  });

  it('forgets an entry that is taken out', () => {
    const ring = ringOf(3);
    const tree = treeOf(ring, [entry(1, 1), entry(2, 1), entry(1, 1)]);
    const twin = treeOf(ring, [entry(2, 1)]);
    expect(tree.children(ROOT, ['n1', 'n2'])).toEqual(twin.children(ROOT, ['n1', 'n2']));
  });

  it('compares in a few hundred bytes', () => {
    expect(treeOf(ringOf(3), []).children(ROOT, ['n1', 'n2']).length).toBe(512);
    expect(() => treeOf(ringOf(3), []).children(65, ['n1', 'n2'])).toThrow(RangeError);
  });
});

it('leaf sets know their members', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 0, max: LEAVES - 1 })),
      fc.integer({ min: 0, max: LEAVES }),
      (leaves, from) => {
        const set = new LeafSet();
        for (const leaf of leaves) set.add(leaf);
        const sorted = [...leaves].sort((a, b) => a - b);
        expect(set.size).toBe(leaves.length);
        expect(set.next(from)).toBe(sorted.find((leaf) => leaf >= from));
        expect(leaves.every((leaf) => set.has(leaf))).toBe(true);
      },
    ),
  );
  expect(LeafSet.all().size).toBe(LEAVES);
});
