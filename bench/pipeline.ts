import { type BenchContext, type Benchmark, WARMUP_MS } from './benchmark.js';
import { bareEcho } from './echo.js';
import { BARS, type Figure, judged } from './figures.js';
import { type BenchPipeline, startPipeline } from './pipeline-services.js';
import { waitUntil } from './processes.js';
import { formatNumber } from './report.js';
import { startWorker, type Worker } from './worker.js';
import type { LoadShape } from './workers/pipeline-load.js';
import type { Latencies } from './workers/pipeline-reads.js';

const SKEW = { keys: 20_000, exponent: 1, perRequest: 1_000 };
const DAY_MS = 86_400_000;
/** Written over the last day before anything is measured, so that statistics have what to add up. */
const HISTORY_EVENTS = 200_000;
const EXPECTED_PER_SECOND = 60_000;
const STATS_PER_SECOND = 50;
/** As many windows long are reads asked for: of one window's 500 the p99 rests on five, and moves by a third. */
const READ_WINDOWS = 3;
/** Half of what is asked of the pipeline. */
const HALF_RATE = BARS.pipelineEvents.goal / 2;
const CATCH_UP_MS = 120_000;
/** Services that have just started spend a fifth of their time on compiling what turns out hot, reads last. */
const READY_MS = 15_000;

interface Counts {
  counted: number;
  lag: number;
}

export const pipeline: Benchmark = {
  name: 'pipeline',
  title:
    'events/s from the append over HTTP until counted at QUORUM; getStats p99 and how soon an event is seen',
  async run(context) {
    const echo = await bareEcho(context);
    const services = await startPipeline(context);
    const load = startWorker(context.processes, 'pipeline-load', context.progress);
    const reader = startWorker(context.processes, 'pipeline-reads', context.progress);
    try {
      await load.call('open', services.processingUrl);
      await reader.call('open', { processing: services.processingUrl, query: services.queryUrl });
      context.progress('writing a day of history');
      await countAll(services, load, { ...SKEW, events: HISTORY_EVENTS, spreadMs: DAY_MS });
      context.progress('warming up');
      await countAll(services, load, { ...SKEW, events: (EXPECTED_PER_SECOND * WARMUP_MS) / 1000 });
      const peak = await measurePeak(context, services, load);
      return [
        echo,
        ...peak.figures,
        judged({
          name: 'events counted / echo',
          value: peak.rate / echo.value,
          unit: '×',
          detail: 'events counted for each bare call that this machine makes',
        }),
        ...(await measureAtHalf(context, services, { load, reader, rate: HALF_RATE })),
      ];
    } finally {
      load.stop();
      reader.stop();
      await services.stop();
    }
  },
};

/** Sends events as fast as they are taken; resolves when all are counted, with how long that took. */
async function countAll(services: BenchPipeline, load: Worker, shape: LoadShape): Promise<number> {
  await load.call('prepare', shape);
  const before = await countsOf(services);
  const startMs = performance.now();
  const sent = await load.call<number>('sendAll');
  await waitUntil('all events counted', CATCH_UP_MS, async () => {
    const { counted, lag } = await countsOf(services);
    return counted - before.counted >= sent && lag === 0;
  });
  return performance.now() - startMs;
}

async function measurePeak(context: BenchContext, services: BenchPipeline, load: Worker) {
  const events = EXPECTED_PER_SECOND * context.seconds;
  context.progress(`counting ${formatNumber(events)} events`);
  const tookMs = await countAll(services, load, { ...SKEW, events });
  const rate = (events * 1000) / tookMs;
  const { processing, log } = services.memoryMiB();
  const detail =
    `Zipf(${SKEW.exponent}) over ${formatNumber(SKEW.keys)} videos, ${formatNumber(SKEW.perRequest)} events a request with ` +
    `eventIds, total+day+hour, flushed every second; from the first request until the last of ${formatNumber(events)} ` +
    `was counted; processing ${processing!.toFixed(0)} MiB, log ${log!.toFixed(0)} MiB`;
  const bar = BARS.pipelineEvents;
  return {
    rate,
    figures: [judged({ name: 'pipeline, events counted', value: rate, unit: 'events/s', bar, detail })],
  };
}

async function measureAtHalf(
  context: BenchContext,
  services: BenchPipeline,
  { load, reader, rate }: { load: Worker; reader: Worker; rate: number },
): Promise<Figure[]> {
  const ms = READ_WINDOWS * context.seconds * 1000;
  const sendingMs = READY_MS + ms * 1.1;
  const events = Math.ceil((rate * sendingMs * 1.1) / 1000);
  await load.call('prepare', { ...SKEW, perRequest: 250, events });
  context.progress(`asking beside ${formatNumber(rate)} events/s`);
  const sending = load.call<number>('sendPaced', { ms: sendingMs, perSecond: rate });
  const { keys, exponent } = SKEW;
  // Nobody has read anything yet.
  await reader.call('statsPaced', { ms: READY_MS, perSecond: 2 * STATS_PER_SECOND, keys, exponent });
  const [stats, visible] = await Promise.all([
    reader.call<Latencies>('statsPaced', { ms, perSecond: STATS_PER_SECOND, keys, exponent }),
    reader.call<Latencies>('probe', { ms }),
  ]);
  const sent = await sending;
  await waitUntil('all events counted', CATCH_UP_MS, async () => (await countsOf(services)).lag === 0);
  const beside = `beside ${formatNumber((sent * 1000) / sendingMs)} events/s, half of the bar`;
  const asked = `${formatNumber(stats.count)} requests for 24 hours by hour at QUORUM, ${beside}; open loop, after ${READY_MS / 1000} s of both`;
  const probed = `${visible.count} events of videos of their own, asked for every 50 ms, ${beside}`;
  return [
    judged({ name: 'getStats p50', value: stats.p50Ms, unit: 'ms', detail: asked }),
    judged({ name: 'getStats p99', value: stats.p99Ms, unit: 'ms', bar: BARS.statsP99, detail: asked }),
    judged({ name: 'event to visible count, p50', value: visible.p50Ms, unit: 'ms', detail: probed }),
    judged({
      name: 'event to visible count, slowest',
      value: visible.maxMs,
      unit: 'ms',
      bar: BARS.eventVisible,
      detail: probed,
    }),
  ];
}

async function countsOf({ processingUrl }: BenchPipeline): Promise<Counts> {
  return (await (await fetch(`${processingUrl}/health`)).json()) as Counts;
}
