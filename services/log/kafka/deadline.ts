import type { Timers } from '../../../ports/clock.js';
import type { CallOptions } from '../../../proto/calls.js';
import { TallyringError } from '../../../proto/errors.js';

export interface DeadlineParts {
  timers: Timers;
  /** Whether the call changes something; asked when time is over. */
  writes: boolean;
  mayHaveApplied?(): boolean;
}

/**
 * A call of the client with an end: it has none of its own that fits. What the call does after it is not known.
 *
 * Rejects WRITE_TIMEOUT or READ_TIMEOUT, or with the signal's reason.
 */
export function withDeadline<T>(
  call: Promise<T>,
  { timeoutMs, signal }: CallOptions,
  { timers, writes, mayHaveApplied = () => writes }: DeadlineParts,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = timers.after(timeoutMs, () => {
      const code = writes ? 'WRITE_TIMEOUT' : 'READ_TIMEOUT';
      const facts = { mayHaveApplied: mayHaveApplied(), retryable: !mayHaveApplied() };
      fail(new TallyringError(code, 'Kafka did not answer in time', facts));
    });
    const abort = () => fail(signal!.reason);
    const end = () => {
      timer.cancel();
      signal?.removeEventListener('abort', abort);
    };
    const fail = (error: unknown) => {
      end();
      reject(error as Error);
    };
    call.then((value) => {
      end();
      resolve(value);
    }, fail);
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
  });
}
