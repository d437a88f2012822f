import { describe, expect, it } from 'vitest';
import { DrillCluster } from './drill-cluster.js';
import type { Drill } from './drills/drill.js';
import { lostStores } from './drills/lost-stores.js';
import { majorityLoss } from './drills/majority-loss.js';
import { importWithKills } from './drills/real-import.js';
import { rebuild } from './drills/rebuild.js';
import { sdkProcesses } from './drills/sdk-processes.js';

// The drills in short, on real processes; `npm run test:chaos` runs them at full length.
const SHORT: [Drill, number][] = [
  [importWithKills, 30],
  [sdkProcesses, 12],
  [majorityLoss, 0],
  [lostStores, 3],
  [rebuild, 1],
];

describe('a cluster of real processes stays exact', () => {
  it.each(
    SHORT.map(([drill, seconds], i) => ({ title: drill.title, drill, seconds, port: 24_201 + 10 * i })),
  )('$title', { timeout: 180_000 }, async ({ drill, seconds, port }) => {
    const cluster = new DrillCluster(`test-${drill.name}`, port);
    try {
      await cluster.up();
      const findings = await drill.run({ cluster, seconds, say: () => {} });
      expect(findings.length).toBeGreaterThan(0);
    } finally {
      await cluster.close();
    }
  });
});
