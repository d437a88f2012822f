import { rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { BenchContext, Benchmark } from './benchmark.js';
import { cassandra } from './cassandra.js';
import { distinctCells } from './cells.js';
import { skewedEvents } from './events.js';
import type { Figure } from './figures.js';
import { nodeMemory } from './memory.js';
import { pipeline } from './pipeline.js';
import { busyNote, PEERS, type Peer, planRun } from './plan.js';
import { ProcessGroup } from './processes.js';
import { createProgressLine } from './progress-line.js';
import { quorumReads } from './reads.js';
import { missingForRedis, redis } from './redis.js';
import { renderTable } from './report.js';
import { plainIncrements } from './unary.js';

const OWN = [distinctCells, skewedEvents, plainIncrements, quorumReads, pipeline, nodeMemory];
const BENCHMARKS = new Map<string, Benchmark>([...OWN, redis, cassandra].map((each) => [each.name, each]));
const STATE_FOLDER = fileURLToPath(new URL('../../.tallyring', import.meta.url));

interface Options {
  peer: Peer[];
  only: string[];
  seconds: number;
  cells: number;
  json?: string;
}

/** What a run gives: the JSON. */
interface Report {
  startedAt: string;
  machine: { cores: number; cpu: string; memoryGiB: number; node: string; loadBefore: number };
  secondsPerWindow: number;
  figures: Figure[];
  failures: { benchmark: string; message: string }[];
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('must be a positive number');
  return value;
}

function parseOptions(): Options {
  const collect = (value: string, before: string[]) => [...before, value];
  const names = [...BENCHMARKS.values()].map(({ name, title }) => `  ${name.padEnd(10)} ${title}`);
  return new Command('bench')
    .description('Measures tallyring on this machine, in one run, beside its peers.')
    .addOption(
      new Option('--peer <name>', 'compare with (repeatable); default: redis when it is installed')
        .choices(PEERS)
        .argParser((value: string, before: string[]) => {
          if (!(PEERS as readonly string[]).includes(value)) throw new InvalidArgumentError(PEERS.join(', '));
          return [...before, value];
        })
        .default([]),
    )
    .option('--only <name>', 'run just this benchmark (repeatable)', collect, [])
    .option('--seconds <n>', 'length of one measured window', positive, 10)
    .option('--cells <n>', 'cells loaded for the memory of a node', positive, 1_000_000)
    .option('--json <file>', 'write the JSON to this file as well')
    .addHelpText('after', `\nBenchmarks:\n${names.join('\n')}`)
    .parse()
    .opts<Options>();
}

async function runAll(names: readonly string[], context: BenchContext): Promise<Report> {
  const report: Report = {
    startedAt: new Date().toISOString(),
    machine: {
      cores: cpus().length,
      cpu: cpus()[0]?.model.trim() ?? 'unknown',
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      node: process.version,
      loadBefore: loadavg()[0] ?? 0,
    },
    secondsPerWindow: context.seconds,
    figures: [],
    failures: [],
  };
  for (const [index, name] of names.entries()) {
    const line = createProgressLine(process.stderr, `[${index + 1}/${names.length}] ${name}`);
    try {
      const figures = await BENCHMARKS.get(name)!.run({ ...context, progress: line.show });
      for (const figure of figures) context.measured.set(figure.name, figure.value);
      report.figures.push(...figures);
      line.end('done');
    } catch (error) {
      // One benchmark that cannot run must not take the others' figures along.
      const message = error instanceof Error ? error.message : String(error);
      report.failures.push({ benchmark: name, message });
      line.end(`failed: ${message}`);
    }
  }
  return report;
}

async function main(): Promise<void> {
  const options = parseOptions();
  const own = OWN.map((benchmark) => benchmark.name);
  const plan = planRun({ own, peers: options.peer, only: options.only, missingForRedis });
  for (const note of plan.notes) console.error(note);
  const busy = busyNote(loadavg()[0] ?? 0, cpus().length);
  if (busy) console.error(busy);
  const processes = new ProcessGroup();
  const workFolder = join(STATE_FOLDER, 'bench', String(process.pid));
  process.on('exit', () => {
    processes.killAll();
    rmSync(workFolder, { recursive: true, force: true, maxRetries: 3 });
  });
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.on(signal, () => process.exit(code));
  }
  const report = await runAll(plan.names, {
    seconds: options.seconds,
    memoryCells: options.cells,
    processes,
    workFolder,
    peersFolder: join(STATE_FOLDER, 'peers'),
    progress: () => {},
    measured: new Map(),
  });
  const json = JSON.stringify(report, null, 2);
  if (options.json) writeFileSync(options.json, `${json}\n`);
  console.log(json);
  console.log(renderTable(report.figures));
  if (busy) console.log(busy);
  for (const { benchmark, message } of report.failures)
    console.log(`${benchmark} has no figures: ${message}`);
  process.exit(report.failures.length > 0 ? 1 : 0);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
});
