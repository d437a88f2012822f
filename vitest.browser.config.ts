import { defineConfig } from 'vitest/config';

/** `npm run test:browser`: the live page in Chromium. */
export default defineConfig({
  test: {
    include: ['test/browser/**/*.browser.ts'],
    maxWorkers: 1,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
