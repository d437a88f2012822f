import { type BenchContext, type Benchmark, WARMUP_MS } from './benchmark.js';
import { measureDistinctCells } from './cells.js';
import { startCluster } from './cluster.js';
import { BARS, type Figure, judged } from './figures.js';
import { formatNumber } from './report.js';
import { startWorker, type Worker } from './worker.js';
import type { ReadLatency } from './workers/quorum-reads.js';

interface Loads {
  writer: Worker;
  reader: Worker;
}

interface Reached {
  latency: ReadLatency;
  readRate: number;
  writeRate: number;
}

/** Reads alone: a closed loop finds their peak, then they come at half of that in an open loop. */
async function readAlone(context: BenchContext, { reader }: Loads): Promise<Reached> {
  const ms = context.seconds * 1000;
  context.progress('measuring the peak of reads alone');
  const readRate = (await reader.call<number>('peak', { ms })) / 2;
  context.progress(`reading ${formatNumber(readRate)}/s`);
  return {
    latency: await reader.call<ReadLatency>('paced', { ms, perSecond: readRate }),
    readRate,
    writeRate: 0,
  };
}

/** Reads and distinct cells together in closed loops find their peak; then both come at half of it. */
async function readBesideWrites(context: BenchContext, { writer, reader }: Loads): Promise<Reached> {
  const ms = context.seconds * 1000;
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

function figuresOf(what: string, { latency, readRate, writeRate }: Reached): Figure[] {
  if (latency.failed > 0) throw new Error(`${latency.failed} of ${latency.reads} reads failed`);
  const beside = writeRate === 0 ? '' : ` beside ${formatNumber(writeRate)} cells/s written`;
  const detail =
    `${formatNumber(readRate)} reads/s${beside}, half of the peak; ` +
    'open loop, from the time each read was due';
  return [
    judged({ name: `${what} p50`, value: latency.p50Ms, unit: 'ms', detail }),
    judged({ name: `${what} p99`, value: latency.p99Ms, unit: 'ms', bar: BARS.readP99, detail }),
  ];
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
      context.progress('warming up');
      await reader.call<number>('peak', { ms: WARMUP_MS });
      const alone = await readAlone(context, { writer, reader });
      const beside = await readBesideWrites(context, { writer, reader });
      await Promise.all([writer.call('close'), reader.call('close')]);
      return [...figuresOf('quorum read', alone), ...figuresOf('quorum read beside writes', beside)];
    } finally {
      writer.stop();
      reader.stop();
      await cluster.stop();
    }
  },
};
