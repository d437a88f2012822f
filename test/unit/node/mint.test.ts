import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Endpoint } from '../../../node/gossip/membership.js';
import { Mint, timeOfProducerId } from '../../../node/mint.js';
import { PRODUCER_KIND } from '../../../proto/producer-kind.js';
import { SeededRandom } from '../../simulation/seeded-random.js';

const HOUR_MS = 3_600_000;
const NOW_MS = 1_750_000_000_000;

/** A mint among nodes whose clocks are off by so many milliseconds; `undefined` is one not heard of. */
function minting(others: (number | undefined)[] = [], down: string[] = []) {
  let wallMs = NOW_MS;
  const endpoints = (): Endpoint[] =>
    [...others, 0].map((offsetMs, i) => ({
      nodeId: `n${i}`,
      generation: 1,
      heartbeat: 1,
      convicted: false,
      phi: 0,
      // The last one is this node itself, as of its last round.
      facts: offsetMs === undefined ? {} : { wallMs: i === others.length ? wallMs : NOW_MS + offsetMs },
    }));
  const membership = { endpoints, isLive: (id: string) => !down.includes(id) };
  const clock = { wallMs: () => wallMs, monotonicMs: () => 0 };
  const mint = new Mint({ clock, random: new SeededRandom(1), membership });
  const setClock = (ms: number) => {
    wallMs = ms;
  };
  return { mint, setClock };
}

describe('mint', () => {
  it('gives ids above all minted before and above what was asked, however the clock moves', () => {
    const kind = fc.constantFrom('sdk' as const, 'node' as const, 'log' as const);
    const above = fc.option(fc.integer({ min: -HOUR_MS, max: 400 * 24 * HOUR_MS }));
    const step = fc.record({ kind, above, clockMs: fc.integer({ min: -100_000, max: 100_000 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { mint, setClock } = minting();
        let last: Buffer = Buffer.alloc(16);
        for (const { kind: of, above: aboveMs, clockMs } of steps) {
          setClock(NOW_MS + clockMs);
          const asked = Buffer.alloc(16, 0xff);
          asked.writeUIntBE(NOW_MS + (aboveMs ?? 0), 0, 6);
          const id = mint.mint(of, aboveMs === null ? undefined : asked);
          expect(id.compare(last)).toBeGreaterThan(0);
          if (aboveMs !== null) expect(id.compare(asked)).toBeGreaterThan(0);
          expect(timeOfProducerId(id)).toBeGreaterThanOrEqual(NOW_MS + clockMs);
          expect(id).toHaveLength(16);
          expect(id[6]! >> 4).toBe(7);
          expect((id[6]! >> 2) & 3).toBe(PRODUCER_KIND[of]);
          expect(id[8]! >> 6).toBe(2);
          last = id;
        }
      }),
      { seed: 6 },
    );
  });

  it('refuses an id that no node can have minted, and goes on as before', () => {
    const { mint } = minting();
    const before = mint.mint('sdk', undefined);
    for (const above of [Buffer.alloc(16, 0xff), Buffer.alloc(16, 0x7f), Buffer.alloc(0), Buffer.alloc(15)]) {
      expect(() => mint.mint('sdk', above)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    }
    expect(timeOfProducerId(mint.mint('sdk', undefined))).toBe(timeOfProducerId(before) + 1);
  });

  it.each([
    { what: 'alone', others: [], refused: false },
    { what: 'not heard of anybody', others: [undefined, undefined], refused: false },
    { what: 'with the others', others: [500, -500], refused: false },
    { what: 'an hour behind', others: [HOUR_MS, HOUR_MS], refused: false },
    { what: 'more than an hour behind', others: [HOUR_MS + 1, HOUR_MS + 1], refused: true },
    { what: 'more than an hour ahead', others: [-HOUR_MS - 1, -HOUR_MS - 1], refused: true },
    { what: 'with the median, one other is wrong', others: [0, 50 * HOUR_MS], refused: false },
  ])('minds the clocks of the live nodes: $what', ({ others, refused }) => {
    const { mint } = minting(others);
    if (!refused) expect(mint.mint('sdk', undefined)).toHaveLength(16);
    else {
      expect(() => mint.mint('sdk', undefined)).toThrow(
        expect.objectContaining({ code: 'FAILED_PRECONDITION', retryable: true }),
      );
    }
  });

  it('does not mind the clocks of dead nodes', () => {
    const { mint } = minting([50 * HOUR_MS, 50 * HOUR_MS], ['n0', 'n1']);
    expect(mint.mint('node', undefined)).toHaveLength(16);
  });
});
