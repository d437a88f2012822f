/** Seeds that failed once: kept as tests. What each of them found is said beside it. */
export const KNOWN_SEEDS: readonly { seed: number; found: string }[] = [];
