import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Engine } from '../../../node/storage/engine.js';
import { HeldCache, heldOf } from '../../../node/storage/held-cache.js';
import { decideMerge } from '../../../node/storage/merge-group.js';
import type { Entry } from '../../../proto/entry.js';
import { entryOf } from '../../conformance/storage/harness.js';

const KEYS = ['a', 'b', 'c'];
const writes = fc.array(fc.array(fc.tuple(fc.constantFrom(...KEYS), fc.nat(4)), { maxLength: 6 }), {
  minLength: 1,
  maxLength: 3,
});

const entry = (key: string, sequence: number): Entry => entryOf({ key, sequence, count: sequence });
const nameOf = ({ key }: { key: Buffer }) => key.toString('latin1');

describe('what a group comes to', () => {
  it('is the newest of each key, whatever the cache knows of it and however often it is in the group', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(writes, { minLength: 1, maxLength: 4 }),
        fc.uniqueArray(fc.constantFrom(...KEYS)),
        async (groups, cached) => {
          const disk = new Map(cached.map((key) => [nameOf(entry(key, 1)), entry(key, 1)]));
          const cache = new HeldCache(10);
          for (const [name, held] of disk) cache.set(name, heldOf(held));
          const engine = {
            getMany: async (keys: readonly Buffer[]) =>
              keys.map((key) => disk.get(key.toString('latin1'))?.value),
          } as Engine;
          for (const lists of groups) {
            const entries = lists.map((list) => list.map(([key, sequence]) => entry(key, sequence)));
            const expected = new Map<string, Entry>();
            for (const one of entries.flat()) {
              const best = expected.get(nameOf(one)) ?? disk.get(nameOf(one));
              if (best === undefined || heldOf(one).version > heldOf(best).version)
                expected.set(nameOf(one), one);
            }
            const outcome = await decideMerge(engine, cache, entries);
            expect(new Map(outcome.winners.map((won) => [nameOf(won), won.value]))).toEqual(
              new Map([...expected].map(([name, { value }]) => [name, value])),
            );
            expect(outcome.winners.length).toBe(expected.size);
            expect(outcome.changed.reduce((sum, count) => sum + count, 0)).toBe(expected.size);
            for (const [i, { key, value }] of outcome.winners.entries()) {
              expect(outcome.keys[i]).toBe(nameOf({ key }));
              const held = disk.get(nameOf({ key }));
              expect(outcome.before[i]?.version).toBe(held && heldOf(held).version);
              disk.set(nameOf({ key }), { key, value: value! });
              cache.set(nameOf({ key }), heldOf({ key, value: value! }));
            }
          }
        },
      ),
    );
  });
});
