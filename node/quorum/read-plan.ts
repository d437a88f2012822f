import type { Entry } from '../../proto/entry.js';
import { type ErrorData, errorToData, TallyringError } from '../../proto/errors.js';
import type { ConsistencyLevel } from '../../proto/level.js';
import type { RowQuery } from '../../proto/peer-message.js';
import { canMeet, type Requirement, requiredOf } from './consistency.js';
import type { Tally, TallyReplica } from './tally.js';

/** One row of a read as it stands. */
export interface Query {
  row: RowQuery;
  tally: Tally;
  answers: Map<string, readonly Entry[]>;
  /** Live replicas that were not asked yet, best first. */
  spare: TallyReplica[];
  /** A replica said that the row is more than an answer may hold. */
  tooLarge?: boolean;
}

/** The fewest of the live replicas, best first, that can meet the requirement; undefined when none can. */
export function choose(live: readonly TallyReplica[], requirement: Requirement): TallyReplica[] | undefined {
  const chosen: TallyReplica[] = [];
  for (const { datacenter, required } of requirement) {
    const matching = live.filter((r) => datacenter === undefined || r.datacenter === datacenter);
    chosen.push(...matching.slice(0, required));
  }
  return canMeet(
    requirement,
    live.map((replica) => replica.datacenter),
  )
    ? chosen
    : undefined;
}

/** Why a query has no answer. */
export function failed(
  { row, tally, tooLarge }: Query,
  why: { level: ConsistencyLevel; requirement: Requirement; inTime: boolean },
): ErrorData {
  // Columns have no eventType.
  const name = row.eventType === '' ? row.key : `${row.key} ${row.eventType}`;
  if (tooLarge) {
    const text = `${name} has more in this range than one answer holds: ask for a shorter one`;
    return errorToData(new TallyringError('INVALID_ARGUMENT', text));
  }
  const { received } = tally;
  const required = requiredOf(why.requirement);
  const what = `${why.level} was not reached for ${name}`;
  const but = tally.verdict === 'met' ? ', but what they lacked could not be written back to them' : '';
  const text = `${what}: ${received} of ${required} replicas gave a whole answer${but}`;
  // Before the deadline it is clear that the others cannot: down, recovering, or their row is damaged.
  const code = why.inTime ? 'UNAVAILABLE' : 'READ_TIMEOUT';
  return errorToData(new TallyringError(code, text, { required, received, live: received }));
}
