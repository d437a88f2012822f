import type { Bounds, Checkpoint, Rule } from '../../../client/log-driven/checkpoint.js';
import { lookBackStart, MAX_RULES } from '../../../client/log-driven/checkpoint.js';
import { type Granularity, windowStartMs } from '../../../counter/window.js';
import { MAX_AHEAD_MS } from '../../event.js';

/**
 * What of a trimmed log can be proven. A record that was appended at T counts only in windows that begin at
 * T + MAX_AHEAD_MS or before: its event is at most a day ahead, and append times never fall. So a window that begins
 * later than that, seen from the last record that is gone or cannot be decided, has all its events among the
 * records that are here.
 */

/** Records that one rule decides: [from, to). */
export interface Segment {
  rule: Rule;
  from: number;
  to: number;
}

/** The retained records, by the rule that decides each. Those before the first rule began were never counted. */
export function segmentsOf({ rules, committed }: Checkpoint, { start }: Bounds): Segment[] {
  return rules.flatMap((rule, i) => {
    const from = Math.max(rule.from, start);
    const to = Math.min(rules[i + 1]?.from ?? committed, committed);
    return from < to ? [{ rule, from, to }] : [];
  });
}

/** Whether all that was ever counted is retained. Rules that were dropped may have counted what lies before. */
export function isAllRetained({ rules }: Checkpoint, { start }: Bounds): boolean {
  return start <= rules[0]!.from && rules.length < MAX_RULES;
}

/** Whether what the rule looks back at, to decide about a record, is still there. */
export function isDecidable(rule: Rule, offset: number, { start }: Bounds): boolean {
  return lookBackStart(rule, offset) >= start;
}

/** Up to when windows may lack events that were counted. */
export class Horizon {
  #lastLostMs = Number.NEGATIVE_INFINITY;

  /** A record that is gone, or cannot be decided, was appended at this time or before. */
  lost(appendedAtMs: number): void {
    if (appendedAtMs > this.#lastLostMs) this.#lastLostMs = appendedAtMs;
  }

  /** Windows that begin later are whole. */
  get endMs(): number {
    return this.#lastLostMs + MAX_AHEAD_MS;
  }

  isWhole(granularity: Granularity, window: number): boolean {
    if (this.#lastLostMs === Number.NEGATIVE_INFINITY) return true;
    return granularity !== 'total' && windowStartMs(granularity, window) > this.endMs;
  }
}
