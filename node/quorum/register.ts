import { isNewer, type RegisterRecord, type StoreOf } from '../../proto/register.js';

/**
 * The quorum register (DESIGN §10), pure: single-decree Paxos with a stable owner, whose "value" is the newest
 * of the owner's writes. Replicas are state machines of three rules (promise, accept, raise); an owner is who
 * got a quorum's promise, took over the newest record and wrote it back under its own epoch.
 */

/** What a replica holds of one register. */
export interface RegisterState {
  /** It refuses every epoch below. */
  promised: number;
  record: RegisterRecord | undefined;
}

/** What a replica says of a register, whatever it was asked. */
export interface RegisterAnswer {
  nodeId: string;
  /** Whether it promised, or holds what it was told. */
  agreed: boolean;
  promised: number;
  storeNumber: number;
  record: RegisterRecord | undefined;
}

/** A record binds its replica as a promise does: it came from an owner of that epoch. */
export function promisedBy({ promised, record }: RegisterState): number {
  return Math.max(promised, record?.epoch ?? 0);
}

/** A replica promises an epoch to one candidate at most. */
export function mayPromise(state: RegisterState, epoch: number): boolean {
  return epoch > promisedBy(state);
}

/**
 * Whether a replica takes a record: it promised no higher epoch, and knows of no newer store of a node whose
 * promise the owner counts. `numberOf` gives the greatest store number that it knows for a node; its own
 * must be the very one that is named, if it is.
 */
export function mayAccept(
  state: RegisterState,
  incoming: { epoch: number; quorum: readonly StoreOf[] },
  known: { self: string; numberOf(nodeId: string): number },
): boolean {
  if (incoming.epoch < promisedBy(state)) return false;
  return incoming.quorum.every(([nodeId, number]) => {
    const now = known.numberOf(nodeId);
    return nodeId === known.self ? number === now : number >= now;
  });
}

/** The newest record of some answers. */
export function newestOf(answers: readonly RegisterAnswer[]): RegisterRecord | undefined {
  let newest: RegisterRecord | undefined;
  for (const { record } of answers) {
    if (record !== undefined && (newest === undefined || isNewer(record, newest))) newest = record;
  }
  return newest;
}

/** The highest epoch that any answer tells of: a candidate must go above it. */
export function highestOf(answers: readonly RegisterAnswer[]): number {
  return Math.max(0, ...answers.map(promisedBy));
}

/** The record under which a new owner takes over what it found: its first write. */
export function takenOver(epoch: number, promises: readonly RegisterAnswer[]): RegisterRecord {
  const quorum = promises.map(({ nodeId, storeNumber }): StoreOf => [nodeId, storeNumber]);
  return { epoch, write: 1, quorum, value: newestOf(promises)?.value ?? null };
}

/**
 * Whether a reader may believe a quorum's answers as they are: all hold the same record and none promised beyond
 * it, so it stands (or none holds any). If not, it must be written back at a quorum first, as a read repair.
 */
export function isSettled(answers: readonly RegisterAnswer[]): boolean {
  const newest = newestOf(answers);
  if (newest === undefined) return true;
  return answers.every((answer) => {
    const { record } = answer;
    return record !== undefined && !isNewer(newest, record) && promisedBy(answer) <= newest.epoch;
  });
}
