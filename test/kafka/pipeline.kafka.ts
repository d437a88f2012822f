import { describe, expect, it } from 'vitest';
import { exact } from '../pipeline/drills/exact.js';
import { kills } from '../pipeline/drills/kills.js';
import { runDrill } from '../pipeline/run.js';

// The pipeline's drills in short, with brokers of their own; `npm run test:pipeline -- --log kafka` runs the long ones.
describe('the pipeline on Kafka counts each event exactly once', () => {
  it.each([exact, kills])('$name: $title', { timeout: 300_000 }, async (drill) => {
    const seconds = 2 * drill.seconds.short; // a broker takes longer to come back
    const findings = await runDrill(drill, { seconds, seed: 'test', log: 'kafka', say: () => {} });
    expect(findings.length).toBeGreaterThan(0);
  });
});
