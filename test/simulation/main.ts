import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type RunResult, runSeed } from './scenario.js';
import { Totals } from './totals.js';

/**
 * npm run test:sim -- --seeds N --from S [--jobs J] [--scale X] [--trace] [--help]
 *
 * Runs seeds S … S+N−1 over as many workers as there are cores, says which failed and how to rerun each, and
 * exits with 1 if any did. `--scale` makes every run so many times longer and busier. `--trace` prints the story of every seed (meant for one).
 */

const USAGE = 'usage: npm run test:sim -- [--seeds N] [--from S] [--jobs J] [--scale X] [--trace]';
const HELP = `${USAGE}

Runs a whole cluster and its clients under virtual time, once per seed, and checks every promise.

  --seeds N   how many seeds (default: 500)
  --from S    the first seed (default: 1)
  --jobs J    workers (default: one per core)
  --scale X   every run so many times longer and busier (default: 1)
  --trace     print the story of every seed, one after the other (meant for one)
  --help      print this

Exit codes: 0 all held, 1 a seed failed (with the command that reruns it), 2 usage.`;
/** Runs leave much garbage behind and keep little. */
const YOUNG = { maxYoungGenerationSizeMb: 64 };
const PROGRESS_EVERY_MS = 2_000;

interface Arguments {
  seeds: number;
  from: number;
  jobs: number;
  scale: number;
  trace: boolean;
  help: boolean;
}

function parse(): Arguments {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '500' },
      from: { type: 'string', default: '1' },
      jobs: { type: 'string', default: String(availableParallelism()) },
      scale: { type: 'string', default: '1' },
      trace: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const whole = (text: string, least: number): number => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < least) throw new Error(`${text} is no number of that kind`);
    return value;
  };
  return {
    seeds: whole(values.seeds, 1),
    from: whole(values.from, 0),
    jobs: whole(values.jobs, 1),
    scale: whole(values.scale, 1),
    trace: values.trace,
    help: values.help,
  };
}

async function traceSeeds({ seeds, from, scale }: Arguments): Promise<number> {
  let failed = 0;
  for (let seed = from; seed < from + seeds; seed++) {
    const result = await runSeed(seed, { story: true, scale });
    for (const line of result.story) console.log(line);
    console.log(
      `seed ${seed}: ${result.configuration}\n${result.events} events, ` +
        `${Math.round(result.simulatedMs / 1000)} simulated s, ${Math.round(result.cpuMs)} ms of CPU, trace ${result.hash}`,
    );
    for (const { check, detail } of result.violations) console.log(`VIOLATED ${check}: ${detail}`);
    if (result.violations.length > 0) failed++;
  }
  return failed;
}

/** Spreads the seeds over workers; each is handed its next seed when it has finished one. */
function runAll(options: Arguments, onResult: (result: RunResult) => void): Promise<void> {
  const end = options.from + options.seeds;
  let next = options.from;
  const one = () =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url), {
        workerData: options.scale,
        resourceLimits: YOUNG,
      });
      const hand = () => {
        if (next < end) worker.postMessage(next++);
        else void worker.terminate().then(() => resolve(), reject);
      };
      worker.on('message', (result: RunResult) => {
        onResult(result);
        hand();
      });
      worker.on('error', reject);
      hand();
    });
  return Promise.all(Array.from({ length: Math.min(options.jobs, options.seeds) }, one)).then(() => {});
}

async function spreadSeeds(options: Arguments): Promise<number> {
  const startMs = performance.now();
  const totals = new Totals();
  const again = options.scale === 1 ? '' : ` --scale ${options.scale}`;
  let toldMs = startMs;
  const tell = () => {
    const seconds = (performance.now() - startMs) / 1000;
    const { user, system } = process.cpuUsage(); // of all workers: they are threads
    console.log(
      `${totals.seeds}/${options.seeds} seeds, ${totals.failed} failed, ${(totals.seeds / seconds).toFixed(1)} seeds/s, ` +
        `${Math.round(totals.simulatedMs / 1000 / seconds)} simulated s per s, ` +
        `${Math.round((user + system) / 1000 / Math.max(1, totals.seeds))} ms of CPU a seed`,
    );
  };
  await runAll(options, (result) => {
    totals.add(result);
    const first = result.violations[0];
    if (first) {
      console.log(
        `seed ${result.seed} FAILED, ${result.violations.length} violations; ${first.check}: ${first.detail}`,
      );
      console.log(`  rerun: npm run test:sim -- --seeds 1 --from ${result.seed}${again} --trace`);
    }
    if (performance.now() - toldMs < PROGRESS_EVERY_MS) return;
    toldMs = performance.now();
    tell();
  });
  tell();
  console.log(totals.table());
  return totals.failed;
}

async function main(): Promise<void> {
  let options: Arguments;
  try {
    options = parse();
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`);
    process.exitCode = 2;
    return;
  }
  if (options.help) {
    console.log(HELP);
    return;
  }
  const failed = options.trace ? await traceSeeds(options) : await spreadSeeds(options);
  if (failed > 0) process.exitCode = 1;
}

if (isMainThread) {
  await main();
} else {
  Error.stackTraceLimit = 0; // errors are answers here, and their stacks would cost more than the rest of them
  parentPort!.on('message', (seed: number) => {
    void runSeed(seed, { scale: workerData as number }).then((result) => parentPort!.postMessage(result));
  });
}
