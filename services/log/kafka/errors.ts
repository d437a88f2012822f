import { TallyringError } from '../../../proto/errors.js';

/** What the client throws: an error, or several that hold each other. */
interface ThrownByClient extends Error {
  code?: string;
  /** Name of a broker's error code. */
  apiId?: string;
  errors?: ThrownByClient[];
  cause?: { code?: string };
}

/** The broker did nothing, and another broker, or the same one soon, will. */
const REFUSED = new Set([
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_OR_FOLLOWER',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'UNKNOWN_TOPIC_OR_PARTITION',
  'UNKNOWN_TOPIC_ID',
  'NOT_ENOUGH_REPLICAS',
  'KAFKA_STORAGE_ERROR',
]);
const TIMED_OUT = new Set(['REQUEST_TIMED_OUT', 'NOT_ENOUGH_REPLICAS_AFTER_APPEND']);
const TOO_LARGE = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE']);

function leavesOf(error: ThrownByClient): ThrownByClient[] {
  return error.errors?.length ? error.errors.flatMap(leavesOf) : [error];
}

/** No connection was there to send on. */
function neverSent({ message, cause }: ThrownByClient): boolean {
  if (/^(ECONNREFUSED|ENOTFOUND|EHOSTUNREACH|EAI_AGAIN)$/.test(cause?.code ?? '')) return true;
  return /^(Connection to .* (failed|timed out)|Cannot connect to any broker)/.test(message);
}

/** Whether a broker's answer names this error. */
export function hasCode(error: unknown, apiId: string): boolean {
  return leavesOf(error as ThrownByClient).some((leaf) => leaf.apiId === apiId);
}

/**
 * What a failure of the client means.
 *
 * @param writes whether the call changes something; `parts`: in how many partitions, each of which may fail alone.
 */
export function fromKafkaError(thrown: unknown, call: { writes: boolean; parts?: number }): TallyringError {
  if (thrown instanceof TallyringError) return thrown;
  const error = thrown as ThrownByClient;
  const leaves = leavesOf(error);
  const text = [...new Set(leaves.map((leaf) => leaf.apiId ?? leaf.message))].join('; ');
  const some = (names: ReadonlySet<string>) =>
    leaves.some(({ apiId }) => apiId !== undefined && names.has(apiId));
  const untouched = leaves.every(
    (leaf) =>
      neverSent(leaf) || (call.parts !== undefined && call.parts > 1 ? false : REFUSED.has(leaf.apiId ?? '')),
  );
  const facts = { cause: thrown, mayHaveApplied: call.writes && !untouched };
  if (some(TOO_LARGE)) {
    return new TallyringError('INVALID_ARGUMENT', `Kafka refused it: ${text}; send fewer records`, {
      ...facts,
      mayHaveApplied: (call.parts ?? 1) > 1,
    });
  }
  if (leaves.some(({ apiId }) => apiId?.endsWith('AUTHORIZATION_FAILED'))) {
    return new TallyringError('FAILED_PRECONDITION', `Kafka refused it: ${text}`, {
      ...facts,
      mayHaveApplied: false,
    });
  }
  if (some(TIMED_OUT) || leaves.some(({ code }) => code === 'PLT_KFK_TIMEOUT')) {
    const code = call.writes ? 'WRITE_TIMEOUT' : 'READ_TIMEOUT';
    return new TallyringError(code, `Kafka did not answer in time (${text})`, facts);
  }
  return new TallyringError('UNAVAILABLE', `Kafka cannot do it now (${text})`, {
    ...facts,
    retryable: !facts.mayHaveApplied,
  });
}
