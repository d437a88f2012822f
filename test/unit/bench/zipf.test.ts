import { describe, expect, it } from 'vitest';
import { drawRanks, seededRandom, zipf } from '../../../bench/zipf.js';

describe('zipf', () => {
  it('draws rank r about 1/(r+1) as often as rank 0', () => {
    const draws = 400_000;
    const seen = new Array<number>(1000).fill(0);
    for (const rank of drawRanks(draws, zipf(1000, 1, seededRandom(7)))) seen[rank]!++;
    const harmonic = Array.from({ length: 1000 }, (_, r) => 1 / (r + 1)).reduce((a, b) => a + b);
    for (const rank of [0, 1, 2, 9, 49]) {
      const expected = draws / harmonic / (rank + 1);
      expect(Math.abs(seen[rank]! - expected)).toBeLessThan(6 * Math.sqrt(expected));
    }
  });
  it('reaches the first and the last rank and no other', () => {
    const low = zipf(5, 1, () => 0);
    const high = zipf(5, 1, () => 1 - 2 ** -53);
    expect([low(), high()]).toEqual([0, 4]);
    expect(zipf(1, 1, () => 0.5)()).toBe(0);
  });
  it('is uniform for exponent 0', () => {
    let next = 0;
    const draw = zipf(4, 0, () => (next++ % 4) / 4);
    expect([draw(), draw(), draw(), draw()]).toEqual([0, 1, 2, 3]);
  });
  it('draws the same for the same seed, something else for another', () => {
    const draw = (seed: number) => [...drawRanks(50, zipf(100, 1, seededRandom(seed)))];
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
  });
});

describe('seededRandom', () => {
  it('stays in [0, 1) with a mean of a half', () => {
    const random = seededRandom(3);
    const values = Array.from({ length: 10_000 }, random);
    expect(values.every((value) => value >= 0 && value < 1)).toBe(true);
    expect(values.reduce((a, b) => a + b) / values.length).toBeCloseTo(0.5, 1);
  });
});
