import { type BenchContext, type Benchmark, WARMUP_MS } from './benchmark.js';
import { measureDistinctCells } from './cells.js';
import { startCluster } from './cluster.js';
import { BARS, judged } from './figures.js';
import { formatNumber } from './report.js';
import { startWorker, type Worker } from './worker.js';
import type { ReadLatency } from './workers/quorum-reads.js';

interface Loads {
  writer: Worker;
  reader: Worker;
}

/**
 * Half of the peak: reads and distinct cells run together in closed loops, as fast as they go; then both come
 * at half of the rates that they reached so, in an open loop.
 */
async function readAtHalfPeak(context: BenchContext, { writer, reader }: Loads) {
  const ms = context.seconds * 1000;
  context.progress('warming up');
  await reader.call<number>('peak', { ms: WARMUP_MS });
  context.progress('measuring the peak of reads and writes together');
  const peak = reader.call<number>('peak', { ms: ms + WARMUP_MS });
  const peakWrites = await measureDistinctCells(context, writer);
  const readRate = (await peak) / 2;
  const writeRate = peakWrites / 2;
  context.progress(`reading ${formatNumber(readRate)}/s beside ${formatNumber(writeRate)} cells/s`);
  const writing = writer.call<number>('loadPaced', { ms: ms * 1.2, perSecond: writeRate });
  const latency = await reader.call<ReadLatency>('paced', { ms, perSecond: readRate });
  return { latency, readRate, writeRate: await writing };
}

export const quorumReads: Benchmark = {
  name: 'reads',
  title: 'quorum read p50 and p99 at half of the peak load',
  async run(context) {
    const cluster = await startCluster(context, ['total']);
    const writer = startWorker(context.processes, 'counter-load', context.progress);
    const reader = startWorker(context.processes, 'quorum-reads', context.progress);
    try {
      await writer.call('open', cluster.addresses);
      await reader.call('open', cluster.addresses);
      const { latency, readRate, writeRate } = await readAtHalfPeak(context, { writer, reader });
      await Promise.all([writer.call('close'), reader.call('close')]);
      if (latency.failed > 0) throw new Error(`${latency.failed} of ${latency.reads} reads failed`);
      const detail =
        `${formatNumber(readRate)} reads/s beside ${formatNumber(writeRate)} cells/s written, half of what both reach ` +
        'together; open loop, from the time each read was due';
      return [
        judged({ name: 'quorum read p50', value: latency.p50Ms, unit: 'ms', detail }),
        judged({ name: 'quorum read p99', value: latency.p99Ms, unit: 'ms', bar: BARS.readP99, detail }),
      ];
    } finally {
      writer.stop();
      reader.stop();
      await cluster.stop();
    }
  },
};
