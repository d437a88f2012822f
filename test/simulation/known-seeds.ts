import type { Case } from './case.js';

export interface KnownSeed extends Case {
  found: string;
  /** Not mended yet: it has to fail, until it is. */
  open?: true;
}

/**
 * Runs that failed once: kept as tests. What each of them found is said beside it. A seed draws other runs
 * when the simulator changes; so what matters of a run is kept as its schedule, once it is cut down.
 */
export const KNOWN_SEEDS: readonly KnownSeed[] = [
  {
    seed: 14,
    found: 'own commits after a start were taken for a rollback: two nodes recovered for ever',
    schedule: [
      { kind: 'kill', atMs: 1_000, node: 'node-1', durationMs: 900 },
      { kind: 'kill', atMs: 1_100, node: 'node-2', durationMs: 600 },
      { kind: 'kill', atMs: 3_000, node: 'node-2', durationMs: 300 },
      { kind: 'kill', atMs: 3_050, node: 'node-3', durationMs: 300 },
    ],
  },
  {
    seed: 1,
    found: 'a start that finds the store busy (OVERLOADED) as it declares it whole recovers for ever',
    schedule: [
      { kind: 'kill', atMs: 2_000, node: 'node-3', durationMs: 500 },
      { kind: 'slow disk', atMs: 2_400, node: 'node-3', factor: 400, durationMs: 4_000 },
    ],
    cut: { limits: { maxPendingMergeBytes: 100 }, safetyMs: 5_000, sdkClients: 3 },
  },
  {
    seed: 8,
    found:
      'a merely killed node, remembered by the name that its store had before, fell into doubt beside another',
    schedule: [
      { kind: 'lost batch', atMs: 1_000, node: 'node-1' },
      { kind: 'lost batch', atMs: 2_300, node: 'node-3' },
      { kind: 'kill', atMs: 2_400, node: 'node-1', durationMs: 100 },
    ],
    cut: {
      limits: { maxRequestMs: 500 },
      safetyMs: 6_000,
      without: ['loss', 'delay', 'duplicates', 'reorder'],
    },
  },
];
