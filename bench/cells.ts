import { type BenchContext, type Benchmark, DISTINCT_CELLS, WARMUP_MS } from './benchmark.js';
import { startCluster } from './cluster.js';
import { BARS, judged } from './figures.js';
import { type Progress, steadyRate } from './statistics.js';
import { startWorker, type Worker } from './worker.js';

/** Cells per second that new keys reach; the cluster must keep `total` only, so that a key is a cell. */
export async function measureDistinctCells(context: BenchContext, loader: Worker): Promise<number> {
  const ms = context.seconds * 1000 + WARMUP_MS;
  const samples = await loader.call<Progress[]>('loadDistinct', { ms });
  return steadyRate(samples, WARMUP_MS);
}

export const distinctCells: Benchmark = {
  name: 'cells',
  title: 'distinct cells/s through the SDK, acknowledged at QUORUM',
  async run(context) {
    const cluster = await startCluster(context, ['total']);
    const loader = startWorker(context.processes, 'counter-load', context.progress);
    try {
      await loader.call('open', cluster.addresses);
      const value = await measureDistinctCells(context, loader);
      await loader.call('close');
      const detail = 'always new keys, total only; N=3, QUORUM, synced; one client process; steady window';
      return [judged({ name: DISTINCT_CELLS, value, unit: 'cells/s', bar: BARS.distinctCells, detail })];
    } finally {
      loader.stop();
      await cluster.stop();
    }
  },
};
