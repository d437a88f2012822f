import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Counted } from '../../../../../client/log-driven/source.js';
import { END_OF_TOKENS, Truth } from '../../../../../services/processing/recount/truth.js';

const HOUR_MS = 3_600_000;
const events = fc.array(
  fc.record({
    key: fc.integer({ min: 0, max: 12 }).map((number) => `k${number}`),
    eventType: fc.constantFrom('view', 'like'),
    by: fc.oneof(fc.integer({ min: -9, max: 9 }), fc.constant(2 ** 42)),
    timestampMs: fc.integer({ min: -3, max: 5 }).map((hour) => hour * HOUR_MS + 1),
  }),
  { maxLength: 120 },
);

/** Every cell of all passes: none may come twice. */
function passes(all: readonly Counted[], maxCells: number): Map<string, unknown> {
  const cells = new Map<string, unknown>();
  for (let from = 0n; from < END_OF_TOKENS; ) {
    const truth = new Truth({ finest: 'hour', maxCells, from });
    for (const event of all) truth.add(event);
    for (const { key, eventType, windows } of truth.inOrder()) {
      for (const [window, sum] of windows) {
        const name = `${key} ${eventType} ${window}`;
        expect(cells.has(name)).toBe(false);
        cells.set(name, sum);
      }
    }
    expect(truth.to).toBeGreaterThan(from);
    from = truth.to;
  }
  return cells;
}

it('passes over ranges of keys find what one pass finds', () => {
  fc.assert(
    fc.property(events, fc.integer({ min: 1, max: 60 }), (all, maxCells) => {
      expect(passes(all, maxCells)).toEqual(passes(all, Number.MAX_SAFE_INTEGER));
    }),
  );
});

it('memory is bounded, but for a key that alone has more', () => {
  fc.assert(
    fc.property(events, (all) => {
      const truth = new Truth({ finest: 'hour', maxCells: 40, from: 0n });
      for (const event of all) truth.add(event);
      // Of one key at most 2 types and 9 hours.
      expect(truth.cells).toBeLessThanOrEqual(40);
    }),
  );
});

it('of one key is of that key alone', () => {
  const truth = new Truth({ finest: 'hour', maxCells: 9, from: 0n, key: 'a' });
  for (const key of ['a', 'b']) truth.add({ key, eventType: 'view', timestampMs: 0 });
  expect(truth.inOrder().map(({ key }) => key)).toEqual(['a']);
});
