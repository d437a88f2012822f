import type { Mutant } from './mutant.js';
import type { Hunt } from './worker.js';

/** Every profile once, over as many seeds as any of its mutants gets: for the product without a bug. */
export function profileHunts(mutants: readonly Mutant[], from: number): Hunt[] {
  const most = new Map<Mutant['profile'], number>();
  for (const { profile, within } of mutants) most.set(profile, Math.max(within, most.get(profile) ?? 0));
  return [...most].map(([profile, within]) => ({ profile, from, within }));
}
