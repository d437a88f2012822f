import { type Clock, sleep, type Timers } from '../ports/clock.js';
import type { Random } from '../ports/random.js';
import { asTallyringError, errorFromData, errorToData, TallyringError } from '../proto/errors.js';
import type { ConsistencyLevel } from '../proto/level.js';
import { backoffMs } from './backoff.js';
import { isUnreachable } from './node-table.js';
import type { ClientLimits } from './options.js';
import type { WaitLimits } from './ports.js';
import type { Topology } from './topology.js';
import type { NodeConnection } from './transport.js';

export interface AttemptParts {
  topology: Topology;
  clock: Clock;
  timers: Timers;
  random: Random;
  limits: ClientLimits;
}

/** What is asked for: of which key, at which level if that matters for the way, within which time. */
export interface Attempted extends WaitLimits {
  key: string;
  level?: ConsistencyLevel | undefined;
}

/**
 * Makes a call that may be made again through any node, at the key's replicas first, until one answers or the
 * time is over. Throws the last error; it says that nothing was applied only if that holds for every attempt. Where
 * the end cut the last attempt short, that says less than what a node answered before: then it throws that.
 */
export async function untilAnswered<T>(
  parts: AttemptParts,
  { key, level, timeoutMs = parts.limits.requestTimeoutMs, signal }: Attempted,
  call: (connection: NodeConnection, timeoutMs: number) => Promise<T>,
): Promise<T> {
  const { topology, clock, limits, timers, random } = parts;
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  const { nodeIds } = topology.replicasOfKey(key);
  let tried = new Set<string>();
  let inDoubt = false;
  let told: TallyringError | undefined;
  for (let failures = 0; ; ) {
    signal?.throwIfAborted();
    const node = topology.choose(nodeIds, { level, except: tried });
    if (node === undefined) {
      // Without any node to ask, which a closed client has: what is to be waited for?
      if (tried.size === 0)
        throw new TallyringError('CLOSED', 'there is no node to ask: the client was closed');
      tried = new Set();
      await sleep(timers, backoffMs(++failures, random));
      continue;
    }
    tried.add(node.nodeId);
    const leftMs = Math.max(1, deadlineMs - clock.monotonicMs());
    const isCut = leftMs < limits.attemptTimeoutMs;
    try {
      const answer = await call(node.connection, Math.min(leftMs, limits.attemptTimeoutMs * 2 ** failures));
      topology.nodes.succeeded(node.nodeId);
      return answer;
    } catch (thrown) {
      signal?.throwIfAborted();
      const error = asTallyringError(thrown);
      inDoubt ||= error.mayHaveApplied;
      topology.nodes.failed(node.nodeId, error);
      const isSilence = error.code === 'READ_TIMEOUT' || error.code === 'WRITE_TIMEOUT';
      if (!isSilence && !isUnreachable(error)) told = error;
      else if (isSilence && !isCut) told = undefined;
      if (!isPassing(error)) throw withDoubt(error, inDoubt);
      if (clock.monotonicMs() >= deadlineMs)
        throw withDoubt(isSilence && isCut && told !== undefined ? cutShort(told) : error, inDoubt);
      if (error.code === 'STALE_RING') await topology.refresh();
    }
  }
}

/** Whether another attempt, here or elsewhere, may go better. */
function isPassing(error: TallyringError): boolean {
  return error.retryable || error.code === 'WRITE_TIMEOUT' || isUnreachable(error);
}

function cutShort(told: TallyringError): TallyringError {
  const message = `${told.message}; a last attempt was cut off at the end of its time`;
  return errorFromData({ ...errorToData(told), message });
}

function withDoubt(error: TallyringError, inDoubt: boolean): TallyringError {
  return error.mayHaveApplied === inDoubt
    ? error
    : errorFromData({ ...errorToData(error), mayHaveApplied: inDoubt });
}
