import { type Requirement, requirementOf } from '../node/quorum/consistency.js';
import { TallyringError } from '../proto/errors.js';
import { type ConsistencyLevel, isLevel, LEVELS } from '../proto/level.js';

/** Where levels are judged: replicas per datacenter, and which of them is local. */
export interface LevelContext {
  replication: Readonly<Record<string, number>>;
  localDatacenter: string;
}

/** Checks a level of any origin against the cluster. Throws INVALID_ARGUMENT. */
export function checkLevel(level: unknown, context: LevelContext): ConsistencyLevel {
  if (typeof level !== 'string' || !isLevel(level)) {
    throw new TallyringError(
      'INVALID_ARGUMENT',
      `unknown consistency level ${String(level)}; use one of ${LEVELS.join(', ')}`,
    );
  }
  requirementOf(level, context.replication, context.localDatacenter);
  return level;
}

/** Answers that a met requirement guarantees to be of one datacenter, or of any. */
function guaranteed(met: Requirement, datacenter: string | undefined, context: LevelContext): number {
  if (datacenter === undefined) return met.reduce((sum, clause) => sum + clause.required, 0);
  let most = 0;
  for (const clause of met) {
    if (clause.datacenter === datacenter) most = Math.max(most, clause.required);
    if (clause.datacenter !== undefined) continue;
    let elsewhere = 0;
    for (const [name, replicas] of Object.entries(context.replication)) {
      if (name !== datacenter) elsewhere += replicas;
    }
    most = Math.max(most, clause.required - elsewhere);
  }
  return most;
}

/** Whether an acknowledgement at `met` is one at `asked` too. */
export function levelImplies(met: ConsistencyLevel, asked: ConsistencyLevel, context: LevelContext): boolean {
  if (met === asked) return true;
  const { replication, localDatacenter } = context;
  const has = requirementOf(met, replication, localDatacenter);
  return requirementOf(asked, replication, localDatacenter).every(
    (clause) => guaranteed(has, clause.datacenter, context) >= clause.required,
  );
}

/** Levels whose answers must come from the coordinator's own datacenter. */
export function isLocal(level: ConsistencyLevel): boolean {
  return level === 'LOCAL_ONE' || level === 'LOCAL_QUORUM';
}

/** What the flusher asks of levels, for one cluster and one usual level. */
export interface FlushLevels {
  /** Of everything that does not name another. */
  readonly usual: ConsistencyLevel;
  implies(met: ConsistencyLevel, asked: ConsistencyLevel): boolean;
}

export function flushLevels(usual: ConsistencyLevel, context: LevelContext): FlushLevels {
  const known = new Map<string, boolean>();
  const implies: FlushLevels['implies'] = (met, asked) => {
    if (met === asked) return true;
    const name = `${met} ${asked}`;
    const answer = known.get(name) ?? levelImplies(met, asked, context);
    known.set(name, answer);
    return answer;
  };
  return { usual, implies };
}
