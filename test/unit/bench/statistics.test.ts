import { describe, expect, it } from 'vitest';
import { median, steadyRate } from '../../../bench/statistics.js';

describe('median', () => {
  it('is the middle of an odd number, whatever the order', () => {
    expect(median([10, 2, 9])).toBe(9);
  });
  it('is the mean of the two middle ones of an even number', () => {
    expect(median([4, 1, 100, 2])).toBe(3);
  });
  it('leaves its input as it was and refuses nothing', () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).toEqual([3, 1, 2]);
    expect(() => median([])).toThrow(RangeError);
  });
});

describe('steadyRate', () => {
  it('leaves the warm-up out, work done in it too', () => {
    const samples = [
      { atMs: 500, done: 1 },
      { atMs: 1000, done: 2 },
      { atMs: 1600, done: 100 },
      { atMs: 2600, done: 1100 },
      { atMs: 3600, done: 2100 },
    ];
    expect(steadyRate(samples, 1000)).toBe(1000);
  });
  it('refuses to make a rate of one acknowledgement', () => {
    expect(() => steadyRate([{ atMs: 0, done: 5 }], 0)).toThrow('--seconds');
    expect(() => steadyRate([], 0)).toThrow('--seconds');
  });
});
