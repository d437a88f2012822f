import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AntiEntropy } from '../../../node/repair/anti-entropy.js';
import type { Entry } from '../../../proto/entry.js';
import { SeededRandom } from '../../simulation/seeded-random.js';
import { shardEntry, World, type WorldOptions } from '../quorum/world.js';

const SECOND = 1_000;

async function repairing(options: WorldOptions = {}) {
  const world = await World.open(options);
  const of = (nodeId: string) => {
    const { context, opened } = world.node(nodeId);
    return new AntiEntropy({ context, tree: opened.tree, random: new SeededRandom(nodeId) });
  };
  const put = async (nodeId: string, entries: Entry[]) => {
    if (entries.length > 0) await world.time.settle(world.node(nodeId).context.replica.merge(entries));
  };
  const pass = (ms: number) => world.time.run(world.time.nowMs + ms);
  return { world, of, put, pass };
}

describe('anti-entropy', () => {
  it('makes two replicas equal, and finds them equal then, at the price of one message', async () => {
    const held = fc.dictionary(fc.integer({ min: 0, max: 40 }).map(String), fc.integer({ min: 1, max: 3 }));
    await fc.assert(
      fc.asyncProperty(held, held, async (ofA, ofB) => {
        const { world, of, put } = await repairing();
        for (const [id, state] of [
          ['a', ofA],
          ['b', ofB],
        ] as const) {
          await put(
            id,
            Object.entries(state).map(([key, sequence]) => shardEntry({ key, sequence })),
          );
        }
        const antiEntropy = of('a');
        const differ = (await world.node('a').content()).join() !== (await world.node('b').content()).join();
        const result = await world.time.settle(antiEntropy.compareWith('b'));
        expect(result).toBe(differ ? 'repaired' : 'equal');
        expect(await world.node('a').content()).toEqual(await world.node('b').content());
        world.calls.length = 0;
        expect(await world.time.settle(antiEntropy.compareWith('b'))).toBe('equal');
        expect(world.calls.map(({ kind }) => kind)).toEqual(['treeHashes']);
      }),
      { numRuns: 40, seed: 2 },
    );
  });

  it('compares only what both replicate', async () => {
    const nodes = Object.fromEntries('abcde'.split('').map((id) => [id, 'dc1']));
    const { world, of, put } = await repairing({ nodes, replication: { dc1: 2 } });
    const entries = Array.from({ length: 200 }, (_, i) => shardEntry({ key: `video-${i}` }));
    const holders = (entry: Entry) => world.ring.replicasOf(entry.key.readBigUInt64BE(6)).nodeIds;
    for (const id of Object.keys(nodes)) {
      await put(
        id,
        entries.filter((entry) => holders(entry).includes(id)),
      );
    }
    for (const id of ['b', 'c', 'd', 'e']) {
      expect(await world.time.settle(of('a').compareWith(id))).toBe('equal');
    }
    await put('a', [shardEntry({ key: 'video-1', sequence: 2 })]); // also where it is no replica
    const sharing = holders(entries[1]!).includes('a')
      ? holders(entries[1]!).find((id) => id !== 'a')
      : undefined;
    for (const id of ['b', 'c', 'd', 'e']) {
      expect(await world.time.settle(of('a').compareWith(id))).toBe(id === sharing ? 'repaired' : 'equal');
    }
  });

  it('goes round all live replicas by itself until all are equal', async () => {
    const { world, of, put, pass } = await repairing();
    await put('a', [shardEntry({ key: 'x' })]);
    await put('b', [shardEntry({ key: 'y', sequence: 2 })]);
    await put('c', [shardEntry({ key: 'y', sequence: 1 }), shardEntry({ key: 'z' })]);
    const all = ['a', 'b', 'c'].map(of);
    for (const one of all) one.start();
    await pass(120 * SECOND);
    for (const one of all) one.stop();
    const contents = await Promise.all(['a', 'b', 'c'].map((id) => world.node(id).content()));
    expect(contents[0]).toHaveLength(3);
    expect(contents[1]).toEqual(contents[0]);
    expect(contents[2]).toEqual(contents[0]);
  });

  it('moves what was missed however many leaves differ, a bounded number while they change', async () => {
    const { world, of, put } = await repairing();
    const entries = Array.from({ length: 1_000 }, (_, i) => shardEntry({ key: `video-${i}` }));
    await put('a', entries);
    const antiEntropy = of('a');
    expect(await world.time.settle(antiEntropy.compareWith('b'))).toBe('busy');
    expect((await world.node('b').entries()).length).toBeLessThan(200);
    expect(await world.time.settle(antiEntropy.compareWith('b'))).toBe('repaired');
    expect(await world.node('b').entries()).toHaveLength(1_000);
  });

  it('asks nobody when nobody is live, goes on after a failure, and stops', async () => {
    const { world, of, put, pass } = await repairing();
    await put('a', [shardEntry({})]);
    world.down.add('b').add('c');
    const antiEntropy = of('a');
    antiEntropy.start();
    await pass(60 * SECOND);
    expect(world.calls).toHaveLength(0);
    world.down.delete('b');
    world.fate = ({ sent }) => (sent < 2 ? 'refused' : undefined);
    await pass(60 * SECOND);
    expect(await world.node('b').entries()).toHaveLength(1);
    antiEntropy.stop();
    const calls = world.calls.length;
    await pass(60 * SECOND);
    expect(world.calls).toHaveLength(calls);
    const { events } = world.time;
    await pass(60 * SECOND);
    expect(world.time.events).toBe(events);
  });

  it('refuses malformed hashes', async () => {
    const { world, of } = await repairing();
    const { peers } = world.node('a').context;
    peers.request = async () => ({ hashes: [Buffer.alloc(8)] }) as never;
    await expect(of('a').compareWith('b')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
