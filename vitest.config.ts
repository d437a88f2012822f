import { defineConfig } from 'vitest/config';

/** Tests that start whole clusters of processes, and hold them to time bounds. */
const PROCESSES = [
  'test/integration/**/*.test.ts',
  'test/chaos/{chaos,drills}.test.ts',
  'test/pipeline/**/*.test.ts',
];

export default defineConfig({
  test: {
    testTimeout: 20_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'in-process',
          include: ['test/**/*.test.ts'],
          exclude: PROCESSES,
          // Two cores are the reference machine.
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'processes',
          include: PROCESSES,
          // After all else and one file at a time: beside other tests their bounds would tell of the machine.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
