import type { History } from '../history.js';
import type { Violation } from './violation.js';

/** No operation waits for ever: after healing every one ends within the bound of the liveness phase. */
export function checkEndings(history: History): Violation[] {
  return [...history.unsettled()].map((record) => ({
    check: 'every operation ends',
    detail:
      'name' in record
        ? `${record.client}'s ${record.kind} of register ${record.name} never ended`
        : `${record.client}'s ${'outcome' in record ? 'increment' : 'read'} of ${record.key}/${record.eventType} at ${record.level} began at ${record.beganMs.toFixed(1)} ms and never ended`,
  }));
}
