import { describe, expect, it } from 'vitest';
import { belowQuorum } from './drills/below-quorum.js';
import { deadLetters } from './drills/dead-letters.js';
import type { PipelineDrill } from './drills/drill.js';
import { exact } from './drills/exact.js';
import { kills } from './drills/kills.js';
import { logReset } from './drills/log-reset.js';
import { retries } from './drills/retries.js';
import { runDrill } from './run.js';

// The drills in short, on real processes; `npm run test:pipeline` runs them at full length.
const DRILLS: PipelineDrill[] = [exact, kills, retries, belowQuorum, logReset, deadLetters];

describe('the pipeline counts each event exactly once', () => {
  it.each(DRILLS)('$name: $title', { timeout: 180_000 }, async (drill) => {
    const findings = await runDrill(drill, {
      seconds: drill.seconds.short,
      seed: 'test',
      log: 'embedded',
      say: () => {},
    });
    expect(findings.length).toBeGreaterThan(0);
  });
});
