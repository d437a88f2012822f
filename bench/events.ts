import { type Benchmark, SKEWED_EVENTS, WARMUP_MS } from './benchmark.js';
import { startCluster } from './cluster.js';
import { BARS, judged } from './figures.js';
import { startWorker } from './worker.js';

/** The skewed load, which Redis gets too. */
export const SKEW = { keys: 20_000, exponent: 1, draws: 1_000_000 };

export const skewedEvents: Benchmark = {
  name: 'events',
  title: 'skewed events/s through count(), total+day+hour, final flush included',
  async run(context) {
    const cluster = await startCluster(context, ['total', 'day', 'hour']);
    const loader = startWorker(context.processes, 'counter-load', context.progress);
    try {
      await loader.call('open', cluster.addresses);
      await loader.call('prepareSkewed', SKEW);
      await loader.call('countSkewed', { ms: WARMUP_MS });
      const ms = context.seconds * 1000;
      const { events, elapsedMs } = await loader.call<{ events: number; elapsedMs: number }>('countSkewed', {
        ms,
      });
      await loader.call('close');
      const detail =
        `Zipf(${SKEW.exponent}) over ${SKEW.keys} keys, three cells an event; ${events} events, all acknowledged ` +
        'at QUORUM within the time; hottest totals read back and equal';
      const value = (events * 1000) / elapsedMs;
      return [judged({ name: SKEWED_EVENTS, value, unit: 'events/s', bar: BARS.skewedEvents, detail })];
    } finally {
      loader.stop();
      await cluster.stop();
    }
  },
};
