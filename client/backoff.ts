import type { Random } from '../ports/random.js';

const FIRST_MS = 20;
const LONGEST_MS = 1_000;

/**
 * Delay before the attempt after `failures` failed ones: doubling from 20 ms to 1 s, half of it random so that
 * what failed together does not come back together.
 */
export function backoffMs(failures: number, random: Random): number {
  const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 10));
  return full / 2 + (full / 2) * random.next();
}
