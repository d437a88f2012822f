import type { SeededRandom } from '../simulation/seeded-random.js';
import { type Answer, requestJson } from './http.js';
import type { Pipeline } from './pipeline.js';
import type { SentEvent } from './tally.js';

/** Shorter than an instance waits for the log: retries overtake what they repeat. */
const ATTEMPT_MS = 2_500;
const GIVE_UP_MS = 90_000;

export interface Delivery {
  answer: Answer;
  attempts: number;
  /** When the answer came, on `performance.now()`. */
  atMs: number;
}

export interface CallerOptions {
  pipeline: Pipeline;
  random: SeededRandom;
}

/** Sends events through any instance until they are acknowledged: the same request again, whatever went wrong. */
export class Caller {
  readonly #options: CallerOptions;
  retries = 0;

  constructor(options: CallerOptions) {
    this.#options = options;
  }

  async deliver(events: readonly SentEvent[], headers: Record<string, string> = {}): Promise<Delivery> {
    const { pipeline, random } = this.#options;
    const beganMs = performance.now();
    let why = '';
    for (let attempts = 1; ; attempts++) {
      const url = pipeline.urlOf(random.pick(pipeline.instances));
      const answer = await send(url, events, { headers, timeoutMs: ATTEMPT_MS }).catch((error: Error) => {
        why = `${error.message} ${(error.cause as Error | undefined)?.message ?? ''}`;
        return undefined;
      });
      if (answer?.status === 200) {
        checkAccepted(answer, events.length);
        return { answer, attempts, atMs: performance.now() };
      }
      if (answer !== undefined) {
        why = JSON.stringify(answer.body);
        if (answer.status < 500) throw new Error(`refused with ${answer.status}: ${why}`);
      }
      this.retries++;
      const tookMs = performance.now() - beganMs;
      if (tookMs > GIVE_UP_MS) throw new Error(`not acknowledged in ${GIVE_UP_MS / 1_000} s: ${why}`);
      await new Promise((resolve) => setTimeout(resolve, random.between(50, 200)));
    }
  }
}

/** One attempt. */
export function send(
  url: string,
  events: readonly SentEvent[],
  { headers = {}, timeoutMs = ATTEMPT_MS }: { headers?: Record<string, string>; timeoutMs?: number } = {},
): Promise<Answer> {
  return requestJson(`${url}/processEvents`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ events }),
    timeoutMs,
  });
}

function checkAccepted({ body }: Answer, events: number): void {
  if (body.accepted === events && body.rejected.length === 0) return;
  throw new Error(`${body.accepted} of ${events} events were taken: ${JSON.stringify(body.rejected[0])}`);
}

export interface Pace {
  /** When request `i` is due, in ms from the start. */
  dueMs(i: number): number;
  inFlight: number;
}

/** Runs `deliver` for each request, some at a time, none before it is due. */
export async function paced<T>(
  requests: readonly T[],
  { dueMs, inFlight }: Pace,
  deliver: (request: T, i: number) => Promise<void>,
): Promise<void> {
  const startMs = performance.now();
  let next = 0;
  const run = async () => {
    for (let i = next++; i < requests.length; i = next++) {
      const waitMs = startMs + dueMs(i) - performance.now();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      await deliver(requests[i]!, i);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, run));
}
