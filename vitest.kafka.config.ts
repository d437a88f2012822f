import { defineConfig } from 'vitest/config';

/** What needs a real Kafka broker: `npm run test:kafka`. Not part of `npm test`, which needs no Java. */
export default defineConfig({
  test: {
    include: ['test/kafka/**/*.kafka.ts'],
    globalSetup: 'test/kafka/broker.ts',
    fileParallelism: false,
    testTimeout: 30_000,
    hookTimeout: 120_000,
  },
});
