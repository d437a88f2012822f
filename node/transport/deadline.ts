import type { Clock } from '../../ports/clock.js';
import type { Limits } from '../config.js';

/** An answer needs this long to reach the caller before its own deadline cuts it off; a tenth at most. */
const ANSWER_MARGIN_MS = 20;

function lessMargin(leftMs: number): number {
  return leftMs - Math.min(ANSWER_MARGIN_MS, leftMs / 10);
}

/**
 * How long the node may work on a call.
 *
 * @param deadline the caller's, on the wall clock as gRPC has it; Infinity when it named none.
 * @returns milliseconds, at most limits.maxRequestMs; 0 or less when the deadline has passed.
 */
export function timeoutOf(deadline: Date | number, limits: Limits, clock: Clock): number {
  if (deadline === Infinity) return limits.defaultRequestMs;
  const leftMs = Number(deadline) - clock.wallMs();
  return Math.min(lessMargin(leftMs), limits.maxRequestMs);
}

/** The same for a timeout that a message names itself; 0 is none. */
export function namedTimeout(timeoutMs: number, limits: Limits): number {
  return timeoutMs === 0 ? limits.defaultRequestMs : Math.min(timeoutMs, limits.maxRequestMs);
}

/** The same, with time left for the answer, as timeoutOf leaves it. */
export function namedAnswerTimeout(timeoutMs: number, limits: Limits): number {
  return timeoutMs === 0 ? limits.defaultRequestMs : Math.min(lessMargin(timeoutMs), limits.maxRequestMs);
}
