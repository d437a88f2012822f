import type { IncrementRecord } from '../history.js';
import type { Violation } from './violation.js';

/** What validation forbids is never acknowledged. That it is counted nowhere is the final value's business. */
export function checkRefusals(increments: readonly IncrementRecord[]): Violation[] {
  return increments
    .filter(({ impossible, outcome }) => impossible && outcome === 'acknowledged')
    .map(({ client, key, eventType, timestampMs }) => ({
      check: 'what must be refused is refused',
      detail: `${client}'s increment of ${key}/${eventType} at ${new Date(timestampMs).toISOString()} was acknowledged`,
    }));
}
