import type { Benchmark } from './benchmark.js';
import { startCluster } from './cluster.js';
import { BARS, judged } from './figures.js';
import { formatNumber } from './report.js';
import { startWorker } from './worker.js';

/** A cluster that cannot load the cells in this time has no figure. */
const LOAD_TIMEOUT_MS = 600_000;

export const nodeMemory: Benchmark = {
  name: 'memory',
  title: 'resident memory of a node with 1 M cells loaded',
  async run(context) {
    const cluster = await startCluster(context, ['total']);
    const loader = startWorker(context.processes, 'counter-load', context.progress);
    try {
      await loader.call('open', cluster.addresses);
      const load = { ms: LOAD_TIMEOUT_MS, maxKeys: context.memoryCells };
      const samples = await loader.call<{ done: number }[]>('loadDistinct', load);
      const loaded = samples.at(-1)?.done ?? 0;
      if (loaded < context.memoryCells) throw new Error(`only ${loaded} cells were loaded in time`);
      const memory = cluster.memoryMiB();
      await loader.call('close');
      const detail =
        `RSS right after ${formatNumber(loaded)} cells were written, each on all three nodes; largest of ` +
        memory.map((value) => formatNumber(value)).join(', ');
      return [
        judged({
          name: 'memory of a node',
          value: Math.max(...memory),
          unit: 'MiB',
          bar: BARS.nodeMemory,
          detail,
        }),
      ];
    } finally {
      loader.stop();
      await cluster.stop();
    }
  },
};
