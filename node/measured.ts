import { asTallyringError } from '../proto/errors.js';
import type { ConsistencyLevel } from '../proto/level.js';
import type { NodeContext } from './quorum/context.js';

/** Runs a client's call, counted and timed by its outcome; rejects with a TallyringError. */
export async function measured<T>(
  { clock, metrics }: Pick<NodeContext, 'clock' | 'metrics'>,
  { call, level }: { call: string; level: ConsistencyLevel },
  run: () => Promise<T>,
): Promise<T> {
  const startMs = clock.monotonicMs();
  let code = 'OK';
  try {
    return await run();
  } catch (error) {
    const known = asTallyringError(error);
    code = known.code;
    throw known;
  } finally {
    metrics.requests.inc({ call, level, code });
    metrics.requestSeconds.observe({ call, level }, (clock.monotonicMs() - startMs) / 1000);
  }
}
