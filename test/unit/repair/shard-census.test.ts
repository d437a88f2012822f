import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ShardCensus } from '../../../node/repair/shard-census.js';
import { shardKey, tokenOf } from '../../../proto/entry.js';

const key = (cell: string, producer: number) =>
  shardKey(
    { key: cell, eventType: 'view', granularity: 'total', window: 0 },
    tokenOf(cell),
    Buffer.from([...Buffer.alloc(15), producer]),
  );

it('knows after a pass exactly the cells with too many shards', () => {
  const cells = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.integer({ min: 1, max: 8 }));
  fc.assert(
    fc.property(fc.array(cells, { minLength: 1, maxLength: 3 }), (passes) => {
      const census = new ShardCensus(5);
      for (const shards of passes) {
        const keys = Object.entries(shards).flatMap(([cell, n]) =>
          Array.from({ length: n }, (_, i) => key(cell, i)),
        );
        for (const one of keys.sort(Buffer.compare)) census.see(one);
        census.endPass();
        for (const cell of ['a', 'b', 'c', 'd'])
          expect(census.isFull(key(cell, 99))).toBe((shards[cell] ?? 0) >= 5);
        expect(census.mostShards).toBe(Math.max(0, ...Object.values(shards)));
      }
    }),
  );
});
