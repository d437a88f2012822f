import fc from 'fast-check';
import { expect, it } from 'vitest';
import { GRANULARITIES } from '../../../counter/window.js';
import { rowRanges } from '../../../node/quorum/row-ranges.js';
import { shardKey, tokenOf } from '../../../proto/entry.js';

it('covers the windows of the row and no others', () => {
  const name = fc.constantFrom('a', 'ab', 'b', 'a\u0000', 'é');
  fc.assert(
    fc.property(
      fc.record({
        key: name,
        eventType: name,
        granularity: fc.constantFrom(...GRANULARITIES),
        fromWindow: fc.integer({ min: -2000, max: 2000 }),
        length: fc.integer({ min: 0, max: 2000 }),
      }),
      fc.record({ key: name, eventType: name, window: fc.integer({ min: -2500, max: 4500 }) }),
      ({ length, ...row }, other) => {
        const total = row.granularity === 'total';
        const query = total
          ? { ...row, fromWindow: 0, toWindow: 1 }
          : { ...row, toWindow: row.fromWindow + length };
        const window = total ? 0 : other.window;
        const address = { ...other, window, granularity: row.granularity };
        const key = shardKey(address, tokenOf(other.key), Buffer.alloc(16, 7));
        const inside = rowRanges(query).filter(
          ({ from, to }) => from.compare(key) <= 0 && key.compare(to) < 0,
        );
        const wanted =
          other.key === row.key &&
          other.eventType === row.eventType &&
          window >= query.fromWindow &&
          window < query.toWindow;
        expect(inside.length).toBe(wanted ? 1 : 0);
      },
    ),
    { numRuns: 2_000 },
  );
});
