/** Seeds that failed once: kept as tests. What each of them found is said beside it. */
export const KNOWN_SEEDS: readonly { seed: number; found: string }[] = [
  { seed: 1175, found: 'own commits after a start were taken for a rollback: two nodes recovered for ever' },
];
