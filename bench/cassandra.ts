import { type BenchContext, type Benchmark, DISTINCT_CELLS, WARMUP_MS } from './benchmark.js';
import { installDriver, missingForCassandra, startCassandra } from './cassandra/servers.js';
import { BARS, type Figure, judged } from './figures.js';
import { startWorker } from './worker.js';

interface UpdateRate {
  perSecond: number;
  failed: number;
}

function figuresOf(context: BenchContext, single: UpdateRate, batches: UpdateRate): Figure[] {
  const setup = 'three nodes, RF 3, QUORUM, commit log synced before the answer';
  const rate = (name: string, { perSecond, failed }: UpdateRate, how: string) =>
    judged({ name, value: perSecond, unit: 'updates/s', detail: `${setup}; ${how}; ${failed} calls failed` });
  const figures = [
    rate('Cassandra counters, one by one', single, '128 in flight'),
    rate('Cassandra counters, in batches', batches, 'counter batches of 100, 8 in flight'),
  ];
  const cells = context.measured.get(DISTINCT_CELLS);
  if (cells !== undefined) {
    const value = cells / Math.max(single.perSecond, batches.perSecond);
    const detail = 'against the faster of the two';
    const bar = BARS.distinctCellsOverCassandra;
    figures.push(judged({ name: 'distinct cells / Cassandra', value, unit: '×', bar, detail }));
  }
  return figures;
}

export const cassandra: Benchmark = {
  name: 'cassandra',
  title: 'Cassandra beside it: counter updates at QUORUM (needs Java 17, Maven, 9 GiB of memory)',
  async run(context) {
    const missing = missingForCassandra();
    if (missing) throw new Error(missing);
    const driverFolder = await installDriver(context);
    const servers = await startCassandra(context, 'batch');
    const load = startWorker(context.processes, 'cassandra-load', context.progress);
    try {
      await load.call('open', { driverFolder, contactPoints: servers.contactPoints });
      const ms = context.seconds * 1000;
      context.progress('warming up');
      await load.call('single', { ms: WARMUP_MS });
      await load.call('batches', { ms: WARMUP_MS });
      context.progress('one by one');
      const single = await load.call<UpdateRate>('single', { ms });
      context.progress('in batches');
      const batches = await load.call<UpdateRate>('batches', { ms });
      await load.call('check');
      return figuresOf(context, single, batches);
    } finally {
      load.stop();
      await servers.stop();
    }
  },
};
