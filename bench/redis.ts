import { spawnSync } from 'node:child_process';
import { type BenchContext, type Benchmark, DISTINCT_CELLS, SKEWED_EVENTS, WARMUP_MS } from './benchmark.js';
import { SKEW } from './events.js';
import { BARS, type Figure, judged } from './figures.js';
import { startRedis } from './redis/server.js';
import { median } from './statistics.js';
import { startWorker, type Worker } from './worker.js';

/** As redis-benchmark has by default. */
const CONNECTIONS = 50;

/** What is missing for this peer, in words; undefined when nothing is. */
export function missingForRedis(): string | undefined {
  if (spawnSync('redis-server', ['--version']).status === 0) return undefined;
  return 'redis-server is not installed (Debian, Ubuntu: apt-get install redis-server)';
}

/** Methods of the worker, each measured in every round. */
const METHODS = ['distinct', 'distinctAlone', 'distinctWait', 'events'] as const;
type RedisRates = Record<(typeof METHODS)[number], number>;
const ROUNDS = 5;

/** Rounds in which all take turns, and their medians: how fast a disk syncs changes from second to second. */
async function measureRounds(context: BenchContext, load: Worker): Promise<RedisRates> {
  context.progress('warming up');
  await load.call('distinct', { ms: WARMUP_MS });
  const rounds: RedisRates[] = [];
  const ms = (context.seconds * 1000) / ROUNDS;
  for (let round = 1; round <= ROUNDS; round++) {
    context.progress(`round ${round} of ${ROUNDS}`);
    const rates: Partial<RedisRates> = {};
    for (const method of METHODS) rates[method] = await load.call<number>(method, { ms });
    rounds.push(rates as RedisRates);
  }
  const medianOf = (method: keyof RedisRates) => median(rounds.map((rates) => rates[method]));
  return Object.fromEntries(METHODS.map((method) => [method, medianOf(method)])) as RedisRates;
}

function figuresOf(context: BenchContext, rates: RedisRates): Figure[] {
  const base = 'appendonly, appendfsync always, two replicas; pipeline 64';
  const setup = `${base} on ${CONNECTIONS} connections`;
  const figures = [
    judged({
      name: 'Redis INCR',
      value: rates.distinct,
      unit: 'INCR/s',
      detail: `${setup}; always new keys`,
    }),
    judged({
      name: 'Redis INCR, one connection',
      value: rates.distinctAlone,
      unit: 'INCR/s',
      detail: `${base} on one connection; always new keys`,
    }),
    judged({
      name: 'Redis INCR + WAIT 1',
      value: rates.distinctWait,
      unit: 'INCR/s',
      detail: `${setup}; each pipeline ends with WAIT 1: a replica has it, in memory`,
    }),
    judged({
      name: 'Redis, skewed events one by one',
      value: rates.events,
      unit: 'events/s',
      detail: `${setup}; three INCR an event (total, day, hour)`,
    }),
  ];
  const cells = context.measured.get(DISTINCT_CELLS);
  if (cells !== undefined) {
    const detail = 'tallyring acknowledges with two of three copies synced, Redis with one';
    const value = cells / rates.distinct;
    figures.push(
      judged({
        name: 'distinct cells / Redis INCR',
        value,
        unit: '×',
        bar: BARS.distinctCellsOverRedis,
        detail,
      }),
    );
  }
  const events = context.measured.get(SKEWED_EVENTS);
  if (events !== undefined) {
    const detail = 'count() against Redis fed event by event, the same skew';
    figures.push(judged({ name: 'skewed events / Redis', value: events / rates.events, unit: '×', detail }));
  }
  return figures;
}

export const redis: Benchmark = {
  name: 'redis',
  title: 'Redis beside it: pipelined INCR, and skewed events one by one',
  async run(context) {
    const missing = missingForRedis();
    if (missing) throw new Error(missing);
    const servers = await startRedis(context);
    const load = startWorker(context.processes, 'redis-load', context.progress);
    try {
      await load.call('open', { port: servers.port, connectionCount: CONNECTIONS, skew: SKEW });
      const rates = await measureRounds(context, load);
      await load.call('check');
      return figuresOf(context, rates);
    } finally {
      load.stop();
      await servers.stop();
    }
  },
};
