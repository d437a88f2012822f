import { type BenchContext, type Benchmark, WARMUP_MS } from './benchmark.js';
import { startCluster } from './cluster.js';
import { BARS, type Figure, judged } from './figures.js';
import { median } from './statistics.js';
import { startWorker, type Worker } from './worker.js';

const IN_FLIGHT = 256;
const ROUNDS = 5;

interface Round {
  echo: number;
  threeNodes: number;
  oneNode: number;
}

/** Echo and increments take turns, so that noise of the machine meets both. */
async function measureRounds(context: BenchContext, load: Worker, addresses: Record<keyof Round, string[]>) {
  const measure = (kind: keyof Round, ms: number) =>
    load.call<number>('load', {
      addresses: addresses[kind],
      inFlight: IN_FLIGHT,
      ms,
      stores: kind !== 'echo',
    });
  const rounds: Round[] = [];
  context.progress('warming up');
  for (const kind of ['echo', 'threeNodes', 'oneNode'] as const) await measure(kind, WARMUP_MS);
  const ms = (context.seconds * 1000) / ROUNDS;
  for (let round = 1; round <= ROUNDS; round++) {
    context.progress(`round ${round} of ${ROUNDS}`);
    rounds.push({
      echo: await measure('echo', ms),
      threeNodes: await measure('threeNodes', ms),
      oneNode: await measure('oneNode', ms),
    });
  }
  return rounds;
}

function figuresOf(rounds: readonly Round[]): Figure[] {
  const base = `${IN_FLIGHT} in flight; median of ${rounds.length} rounds in which all take turns`;
  const rate = (name: string, kind: keyof Round) => {
    const detail = kind === 'echo' ? base : `QUORUM, synced; ${base}`;
    return judged({ name, value: median(rounds.map((round) => round[kind])), unit: 'calls/s', detail });
  };
  const percent = (kind: keyof Round) => median(rounds.map((round) => (round[kind] * 100) / round.echo));
  return [
    rate('bare grpc-js echo', 'echo'),
    rate('plain increments, three nodes in turn', 'threeNodes'),
    rate('plain increments, through one node', 'oneNode'),
    judged({
      name: 'plain increments (three nodes) / echo',
      value: percent('threeNodes'),
      unit: '%',
      bar: BARS.unaryOverEcho,
      detail: 'median of the rounds’ ratios; server and client in processes of their own on both sides',
    }),
    judged({
      name: 'plain increments (one node) / echo',
      value: percent('oneNode'),
      unit: '%',
      bar: BARS.unaryOverEcho,
      detail: 'median of the rounds’ ratios',
    }),
  ];
}

export const plainIncrements: Benchmark = {
  name: 'unary',
  title: 'plain unary increments/s beside a bare grpc-js echo',
  async run(context) {
    const cluster = await startCluster(context, ['total', 'day', 'hour']);
    const echo = startWorker(context.processes, 'echo-server', context.progress);
    const load = startWorker(context.processes, 'unary-load', context.progress);
    try {
      const echoAddress = await echo.call<string>('listen');
      const threeNodes = [...cluster.addresses];
      const addresses = { echo: [echoAddress], threeNodes, oneNode: threeNodes.slice(0, 1) };
      const rounds = await measureRounds(context, load, addresses);
      await load.call('check', { address: cluster.addresses[0] });
      return figuresOf(rounds);
    } finally {
      load.stop();
      echo.stop();
      await cluster.stop();
    }
  },
};
