import type { FlushReply, Outcome } from '../../../proto/calls.js';
import type { Violation } from './violation.js';

/** What a node answered to a client's call, and how long after the call reached it. */
export interface Answered {
  nodeId: string;
  method: string;
  answer: unknown;
  elapsedMs: number;
  timeoutMs: number;
}

/** A call is checked before its deadline begins. */
const SLACK_MS = 10;
const MOST = 100;

/**
 * No coordinator says yes after its deadline, not even after it slept: what waits for old requests to end (a
 * node that rebuilds its store) relies on it. A plain increment may wait for a later write of its node, which has
 * a deadline of its own: it is not looked at.
 */
export class DeadlineWatch {
  readonly violations: Violation[] = [];
  readonly #maxRequestMs: number;

  constructor(maxRequestMs: number) {
    this.#maxRequestMs = maxRequestMs;
  }

  answered({ nodeId, method, answer, elapsedMs, timeoutMs }: Answered): void {
    const allowedMs = Math.min(timeoutMs, this.#maxRequestMs) + SLACK_MS;
    if (elapsedMs <= allowedMs || !saysYes(method, answer) || this.violations.length >= MOST) return;
    this.violations.push({
      check: 'nobody says yes after the deadline',
      detail: `${nodeId} confirmed ${method} ${Math.round(elapsedMs)} ms after it came, ${Math.round(allowedMs)} ms are allowed`,
    });
  }
}

function saysYes(method: string, answer: unknown): boolean {
  if (method === 'get') return (answer as Outcome<unknown>[]).some((one) => 'ok' in one);
  if (method === 'flush') return (answer as FlushReply).failures.length === 0;
  return method.endsWith('Register');
}
