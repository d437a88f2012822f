import type { Timers } from '../ports/clock.js';
import { PendingError } from './errors.js';

export interface WaitOptions {
  timers: Timers;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  /** Why it takes so long, as far as is known. */
  lastError(): unknown;
}

/**
 * Waits for something that goes on whether or not anybody waits. `start` is called at once with what to call
 * at the end. A timeout or an abort ends the wait alone, with a PendingError.
 */
export function waitFor(
  start: (done: (error?: Error) => void) => void,
  { timers, timeoutMs, signal, lastError }: WaitOptions,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    let late: ((error?: Error) => void) | undefined;
    const end = () => {
      isOver = true;
      timer.cancel();
      signal?.removeEventListener('abort', onAbort);
    };
    const giveUp = (why: string, cause: unknown) => {
      end();
      const settled = new Promise<void>((settle, fail) => {
        late = (error) => (error ? fail(error) : settle());
      });
      reject(new PendingError(why, settled, cause));
    };
    const onAbort = () => giveUp('the wait was aborted', signal?.reason);
    const timer = timers.after(timeoutMs, () =>
      giveUp(`no acknowledgement within ${timeoutMs} ms`, lastError()),
    );
    signal?.addEventListener('abort', onAbort, { once: true });
    start((error) => {
      if (isOver) return late?.(error);
      end();
      if (error) reject(error);
      else resolve();
    });
  });
}
