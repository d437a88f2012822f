import type { Granularity } from '../../counter/window.js';
import type { Entry } from '../../proto/entry.js';
import { checkEndings } from '../simulation/checkers/endings.js';
import { checkFinalValues } from '../simulation/checkers/final-value.js';
import { checkMonotonicReads, checkReadBounds } from '../simulation/checkers/reads.js';
import { checkReplicasEqual } from '../simulation/checkers/replicas-equal.js';
import type { Violation } from '../simulation/checkers/violation.js';
import { type History, overlappingLevels } from '../simulation/history.js';
import { SURVIVAL_CHECK } from './survival.js';

/** One checker's word on a run: what it looked at, and what it found. */
export interface Verdict {
  check: string;
  looked: string;
  violations: Violation[];
}

export interface Evidence {
  history: History;
  /** What each node held at the end; undefined when it could not be read. */
  stores: ReadonlyMap<string, readonly Entry[]> | undefined;
  rollups: readonly Granularity[];
  replicas: number;
  /** Entries that were looked at before and after a restart. */
  survivors: number;
  /** What the run itself saw. */
  seen: readonly Violation[];
}

/** The checkers of the simulation, on what real processes did and hold. */
export function judge({ history, stores, rollups, replicas, survivors, seen }: Evidence): Verdict[] {
  const { increments, reads } = history;
  const overlapping = overlappingLevels({ dc1: replicas });
  const operations = `${count(increments.length + reads.length)} operations`;
  const entries = [...(stores?.values() ?? [])].reduce((sum, held) => sum + held.length, 0);
  const ofStores = (check: string, find: (held: NonNullable<typeof stores>) => Violation[]): Verdict => ({
    check,
    looked: `${count(entries)} entries on ${stores?.size ?? 0} nodes`,
    violations: stores === undefined ? [{ check, detail: 'the stores could not be read' }] : find(stores),
  });
  const answered = reads.filter((read) => read.value !== undefined).length;
  return [
    {
      check: 'nodes come up, stay up and become whole',
      looked: 'the whole run',
      violations: seen.filter(({ check }) => check !== SURVIVAL_CHECK),
    },
    {
      check: 'what a whole node held survives its restart',
      looked: `${count(survivors)} entries`,
      violations: seen.filter(({ check }) => check === SURVIVAL_CHECK),
    },
    { check: 'every operation ends', looked: operations, violations: checkEndings(history) },
    { check: 'a living SDK gets all acknowledged', looked: operations, violations: unacknowledged(history) },
    {
      check: 'reads lie within their bounds',
      looked: `${count(answered)} reads`,
      violations: checkReadBounds(history, rollups, overlapping),
    },
    {
      check: 'quorum reads never go backwards',
      looked: `${count(answered)} reads`,
      violations: checkMonotonicReads(history, overlapping),
    },
    ofStores('replicas are equal', (held) => checkReplicasEqual(held, replicas)),
    ofStores('final values are exact', (held) => checkFinalValues(increments, held, rollups)),
  ];
}

/** Once the faults are over nothing that the SDK took stays open: it was written until it was acknowledged. */
function unacknowledged({ increments }: History): Violation[] {
  return increments
    .filter(
      ({ producer, outcome }) => producer === 'sdk' && (outcome === 'in doubt' || outcome === 'waiting'),
    )
    .map(({ client, key, eventType, level, beganMs }) => ({
      check: 'a living SDK gets all acknowledged',
      detail: `${client}'s increment of ${key}/${eventType} at ${level} began at ${beganMs.toFixed(1)} ms`,
    }));
}

const count = (n: number) => n.toLocaleString('en');
