import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HeldCache, heldOf, hold, judge } from '../../../node/storage/held-cache.js';
import { mergeValues } from '../../../node/storage/kinds.js';
import { encodeColumn } from '../../../proto/column.js';
import { entryOf, hashOf } from '../../conformance/storage/harness.js';

const shards = fc.record({
  sequence: fc.oneof(fc.nat(3), fc.constantFrom(2 ** 31, 2 ** 32, 2 ** 53 - 2), fc.nat()),
  count: fc.nat(3),
});

describe('what is known of a held value', () => {
  it('judges as the whole values do, or not at all where one version has two values', () => {
    fc.assert(
      fc.property(shards, shards, (ours, theirs) => {
        const [held, incoming] = [entryOf(ours), entryOf(theirs)];
        const verdict = mergeValues(held.key, held.value, incoming.value);
        const isConflict = verdict === 'conflictHeld' || verdict === 'conflictIncoming';
        expect(judge(heldOf(held), incoming)).toBe(isConflict ? undefined : verdict);
      }),
    );
  });

  it('is that of the newer one after it was overwritten', () => {
    fc.assert(
      fc.property(shards, shards, (ours, theirs) => {
        const held = heldOf(entryOf(ours));
        hold(held, entryOf(theirs));
        expect(held).toMatchObject({ version: theirs.sequence, ...hashOf(entryOf(theirs)) });
      }),
    );
  });

  it('judges no kind without versions', () => {
    const column = { name: 'title', timeMs: 1, logical: 0, writer: Buffer.alloc(16), text: 'cats' };
    const entry = encodeColumn('k', column);
    expect(judge(heldOf(entry), entry)).toBe('unchanged');
    const other = encodeColumn('k', { ...column, timeMs: 2 });
    expect(judge(heldOf(entry), other)).toBeUndefined();
  });
});

describe('the cache of held values', () => {
  it('keeps as many as it may, the newest', () => {
    const cache = new HeldCache(2);
    for (const name of ['a', 'b', 'c']) cache.set(name, heldOf(entryOf()));
    expect(['a', 'b', 'c'].map((name) => cache.get(name) !== undefined)).toEqual([false, true, true]);
  });

  it('stays within its bound whatever is deleted meanwhile', () => {
    const ops = fc.array(fc.record({ name: fc.constantFrom('a', 'b', 'c', 'd'), isSet: fc.boolean() }));
    fc.assert(
      fc.property(ops, (given) => {
        const cache = new HeldCache(2);
        for (const { name, isSet } of given) {
          if (isSet) cache.set(name, heldOf(entryOf()));
          else cache.delete(name);
          expect(cache.get(name) !== undefined).toBe(isSet);
          expect(['a', 'b', 'c', 'd'].filter((each) => cache.get(each) !== undefined).length).toBeLessThan(3);
        }
      }),
    );
  });
});
