import { type BenchContext, type Benchmark, DISTINCT_CELLS, WARMUP_MS } from './benchmark.js';
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
 * Half of the peak: distinct cells are written at half the rate that they reach alone; beside them, reads come at
 * half the rate that a closed loop of reads reaches beside the same writes.
 */
async function readAtHalfPeak(context: BenchContext, { writer, reader }: Loads, peakWrites: number) {
  const ms = context.seconds * 1000;
  const writeRate = peakWrites / 2;
  context.progress('warming up');
  await reader.call<number>('peak', { ms: WARMUP_MS });
  context.progress('measuring peak reads beside the writes');
  const peakWriting = writer.call<number>('loadPaced', { ms, perSecond: writeRate });
  const peakReads = await reader.call<number>('peak', { ms: ms * 0.8 });
  await peakWriting;
  const readRate = peakReads / 2;
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
      const peakWrites =
        context.measured.get(DISTINCT_CELLS) ?? (await measureDistinctCells(context, writer));
      const { latency, readRate, writeRate } = await readAtHalfPeak(context, { writer, reader }, peakWrites);
      await Promise.all([writer.call('close'), reader.call('close')]);
      if (latency.failed > 0) throw new Error(`${latency.failed} of ${latency.reads} reads failed`);
      const detail =
        `${formatNumber(readRate)} reads/s (half of the peak) beside ${formatNumber(writeRate)} cells/s written ` +
        '(half of the peak); open loop, from the time each read was due';
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
