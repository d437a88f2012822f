import type { Outcome } from '../proto/calls.js';
import { asTallyringError, errorToData } from '../proto/errors.js';

/** What a function gives, or throws, as an outcome. */
export function attempt<T>(run: () => T): Outcome<T> {
  try {
    return { ok: run() };
  } catch (error) {
    return { error: errorToData(asTallyringError(error)) };
  }
}

/** Those that went well. */
export const oks = <T>(outcomes: readonly Outcome<T>[]): T[] =>
  outcomes.flatMap((outcome) => ('ok' in outcome ? [outcome.ok] : []));

/** Puts the results of the well-formed queries back into the places of all queries. */
export function weave<P, R, T>(
  plans: readonly Outcome<P>[],
  results: readonly Outcome<R>[],
  finish: (plan: P, result: R) => T,
): Outcome<T>[] {
  let at = 0;
  return plans.map((plan) => {
    if ('error' in plan) return plan;
    const result = results[at++]!;
    return 'error' in result ? result : attempt(() => finish(plan.ok, result.ok));
  });
}
