import { expect, it } from 'vitest';
import { Latency } from '../../../node/quorum/latency.js';

it('keeps the p99 of the last answers, and what it was given before the first', () => {
  const latency = new Latency(50);
  expect(latency.p99Ms).toBe(50);
  for (let i = 0; i < 128; i++) latency.record(i === 5 ? 900 : 2);
  expect(latency.p99Ms).toBe(2);
  for (let i = 0; i < 128; i++) latency.record(i % 2 === 0 ? 40 : 2);
  expect(latency.p99Ms).toBe(40);
});
