import type { Fault } from './faults.js';

/**
 * Runs that failed once: kept as tests. What each of them found is said beside it. A seed draws other runs
 * when the simulator changes; so what matters of a run is kept as its schedule, once it is cut down.
 */
export const KNOWN_SEEDS: readonly { seed: number; schedule?: readonly Fault[]; found: string }[] = [
  {
    seed: 1175,
    found: 'own commits after a start were taken for a rollback: two nodes recovered for ever',
    schedule: [
      { kind: 'kill', atMs: 1_000, node: 'node-1', durationMs: 900 },
      { kind: 'kill', atMs: 1_100, node: 'node-2', durationMs: 600 },
      { kind: 'kill', atMs: 3_000, node: 'node-2', durationMs: 300 },
      { kind: 'kill', atMs: 3_050, node: 'node-3', durationMs: 300 },
    ],
  },
];
