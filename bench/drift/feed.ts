import { dueAtMs } from '../pacing.js';

export interface Feed<E> {
  events: readonly E[];
  /** The time over which the events are spread evenly. What a slow system is behind, it may catch up. */
  seconds: number;
  /** Events under way at most; the next one waits. */
  inFlight: number;
  /** Awaited before an event is sent; all later ones are due later by the time this takes. */
  before(index: number): Promise<void> | undefined;
  send(event: E): Promise<void>;
}

/** Sends all events in order and resolves when all are answered. Rejects with the first failure of `send`. */
export async function feed<E>({ events, seconds, inFlight, before, send }: Feed<E>): Promise<void> {
  const schedule = { startMs: performance.now(), perSecond: events.length / seconds };
  let running = 0;
  let onAnswer = () => {};
  let failure: { error: unknown } | undefined;
  const answered = () => new Promise<void>((resolve) => (onAnswer = resolve));
  for (const [index, event] of events.entries()) {
    const holdMs = performance.now();
    const hold = before(index);
    if (hold !== undefined) {
      await hold;
      schedule.startMs += performance.now() - holdMs;
    }
    const earlyMs = dueAtMs(schedule, index) - performance.now();
    if (earlyMs > 0) await new Promise((resolve) => setTimeout(resolve, earlyMs));
    while (running >= inFlight && !failure) await answered();
    if (failure) break;
    running++;
    send(event)
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .finally(() => {
        running--;
        onAnswer();
      });
  }
  while (running > 0 && !failure) await answered();
  if (failure) throw failure.error;
}
