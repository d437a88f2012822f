import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type Case, runCase } from './case.js';
import type { RunResult } from './scenario.js';
import { shrink } from './shrink.js';
import { tellStory } from './story.js';
import { Totals } from './totals.js';

/** Runs seeds over as many workers as there are cores: `HELP` says the rest. */

const USAGE =
  'usage: npm run test:sim -- [--seeds N] [--minutes M] [--from S] [--jobs J] [--scale X] [--pipeline] [--trace | --shrink] [--case JSON]';
const HELP = `${USAGE}

Runs a whole cluster and its clients under virtual time, once per seed, and checks every promise.

  --seeds N   how many seeds (default: 500)
  --minutes M no new seed begins later than that; the last line says how many ran
  --from S    the first seed (default: 1)
  --jobs J    workers (default: one per core)
  --scale X   every run so many times longer and busier (default: 1)
  --pipeline  the counting pipeline in place of the usual clients
  --trace     print the story of every seed, one after the other (meant for one)
  --shrink    cut every seed that fails down to a short schedule, and tell its story (meant for one)
  --case JSON run just this, as --shrink printed it; JSON or a file of it
  --help      print this

Exit codes: 0 all held, 1 a seed failed (with the command that reruns it), 2 usage.`;
/** Runs leave much garbage behind and keep little. */
const YOUNG = { maxYoungGenerationSizeMb: 64 };
const PROGRESS_EVERY_MS = 2_000;

interface Arguments {
  seeds: number;
  minutes: number | undefined;
  from: number;
  jobs: number;
  scale: number;
  pipeline: boolean;
  trace: boolean;
  shrink: boolean;
  case: Case | undefined;
  help: boolean;
}

function parse(): Arguments {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '500' },
      minutes: { type: 'string' },
      from: { type: 'string', default: '1' },
      jobs: { type: 'string', default: String(availableParallelism()) },
      scale: { type: 'string', default: '1' },
      pipeline: { type: 'boolean', default: false },
      trace: { type: 'boolean', default: false },
      shrink: { type: 'boolean', default: false },
      case: { type: 'string' },
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
    minutes: values.minutes === undefined ? undefined : whole(values.minutes, 1),
    from: whole(values.from, 0),
    jobs: whole(values.jobs, 1),
    scale: whole(values.scale, 1),
    pipeline: values.pipeline,
    trace: values.trace,
    shrink: values.shrink,
    case: values.case === undefined ? undefined : readCase(values.case),
    help: values.help,
  };
}

function readCase(text: string): Case {
  return JSON.parse(text.trimStart().startsWith('{') ? text : readFileSync(text, 'utf8')) as Case;
}

/** The runs that were asked for, each as a case of its own. */
function casesOf(options: Arguments): Case[] {
  if (options.case) return [options.case];
  const { seeds, from, scale, pipeline } = options;
  return Array.from({ length: seeds }, (_, i) => ({ seed: from + i, scale, ...(pipeline && { pipeline }) }));
}

async function traceAll(options: Arguments): Promise<number> {
  let failed = 0;
  for (const one of casesOf(options)) {
    const result = await runCase(one, { story: true });
    if (options.trace) for (const line of result.story) console.log(line);
    console.log(
      `seed ${one.seed}: ${result.configuration}\n${result.events} events, ` +
        `${Math.round(result.simulatedMs / 1000)} simulated s, ${Math.round(result.cpuMs)} ms of CPU, trace ${result.hash}`,
    );
    for (const { check, detail } of result.violations) console.log(`VIOLATED ${check}: ${detail}`);
    if (result.violations.length > 0) failed++;
  }
  return failed;
}

async function shrinkAll(options: Arguments): Promise<number> {
  let failed = 0;
  for (const one of casesOf(options)) {
    const run = (smaller: Case, story: boolean) => runCase(smaller, { story });
    const shrunk = await shrink(one, { run, progress: (line) => console.log(line) });
    if (shrunk === undefined) {
      console.log(`seed ${one.seed} does not fail`);
      continue;
    }
    console.log(`\n${tellStory(shrunk)}`);
    failed++;
  }
  return failed;
}

/** Spreads the seeds over workers; each is handed its next seed when it has finished one. */
function runAll(options: Arguments, onResult: (result: RunResult) => void): Promise<void> {
  const end = options.from + options.seeds;
  const endMs = performance.now() + (options.minutes ?? Number.POSITIVE_INFINITY) * 60_000;
  let next = options.from;
  const one = () =>
    new Promise<void>((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url), {
        workerData: { scale: options.scale, pipeline: options.pipeline },
        resourceLimits: YOUNG,
      });
      const hand = () => {
        if (next < end && performance.now() < endMs) worker.postMessage(next++);
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
  const again = `${options.scale === 1 ? '' : ` --scale ${options.scale}`}${options.pipeline ? ' --pipeline' : ''}`;
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
  const interrupted = () => {
    tell();
    console.log(totals.table());
    process.exit(1);
  };
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  await runAll(options, (result) => {
    totals.add(result);
    const first = result.violations[0];
    if (first) {
      console.log(
        `seed ${result.seed} FAILED, ${result.violations.length} violations; ${first.check}: ${first.detail}`,
      );
      console.log(`  rerun: npm run test:sim -- --seeds 1 --from ${result.seed}${again} --trace`);
      console.log(`  cut it down: npm run test:sim -- --seeds 1 --from ${result.seed}${again} --shrink`);
    }
    if (performance.now() - toldMs < PROGRESS_EVERY_MS) return;
    toldMs = performance.now();
    tell();
  });
  tell();
  console.log(totals.table());
  return totals.failed;
}

function runAsAsked(options: Arguments): Promise<number> {
  if (options.shrink) return shrinkAll(options);
  return options.trace || options.case ? traceAll(options) : spreadSeeds(options);
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
  const failed = await runAsAsked(options);
  if (failed > 0) process.exitCode = 1;
}

if (isMainThread) {
  await main();
} else {
  Error.stackTraceLimit = 0; // errors are answers here, and their stacks would cost more than the rest of them
  // A rejection that nobody handles ends a process: here it is the seed's failure.
  const unhandled: unknown[] = [];
  process.on('unhandledRejection', (reason) => unhandled.push(reason));
  parentPort!.on('message', (seed: number) => {
    void runCase({ seed, ...(workerData as Pick<Case, 'scale' | 'pipeline'>) }).then((result) => {
      for (const reason of unhandled.splice(0)) {
        result.violations.push({ check: 'every rejection is handled', detail: String(reason) });
      }
      parentPort!.postMessage(result);
    });
  });
}
