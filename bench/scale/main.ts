import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import type { Figures } from './figures.js';
import { combine, FULL, type Job, type Measured, QUICK } from './jobs.js';
import { drawPictures } from './pictures.js';
import { type PoolProgress, runPool } from './pool.js';
import { renderTables } from './tables.js';

/**
 * npm run scale -- [--quick] [--only text …] [--out folder]
 *
 * Measures gossip and the ring on paper, and writes figures.json, a picture of each and the tables of README.md.
 */
const DOCS = fileURLToPath(new URL('../../../docs/scale', import.meta.url));
const FIGURES = 'figures.json';
const TABLES = /(<!-- tables -->\n)[\s\S]*(<!-- end of tables -->)/;
const SHOW_EVERY_MS = 5_000;

interface Options {
  quick?: boolean;
  out?: string;
  only: string[];
}

function parseOptions(): Options {
  return new Command('scale')
    .description('Simulates gossip and failure detection at 10, 100 and 1,000 nodes and measures the ring.')
    .option('--quick', 'a small version, in seconds; shows its tables and writes nothing without --out')
    .option('--out <folder>', 'where figures and pictures go (default: docs/scale)')
    .option(
      '--only <text>',
      'measure just what has this in its name (repeatable), and keep the other figures that are there',
      (text: string, before: string[]) => [...before, text],
      [],
    )
    .parse()
    .opts<Options>();
}

/** One line a job when it begins and ends, and between them now and then how far it is. */
function progressOn(output: NodeJS.WritableStream, jobs: readonly Job[]): PoolProgress {
  const startMs = performance.now();
  const shownMs = new Map<Job, number>();
  let done = 0;
  const line = (job: Job, text: string) => {
    shownMs.set(job, performance.now());
    const seconds = ((performance.now() - startMs) / 1_000).toFixed(0).padStart(3);
    output.write(`${seconds} s  [${done}/${jobs.length}] ${job.name}: ${text}\n`);
  };
  return {
    started: (job) => line(job, 'begins'),
    says: (job, text) => {
      if (performance.now() - (shownMs.get(job) ?? 0) > SHOW_EVERY_MS) line(job, text);
    },
    ended: (job) => {
      done++;
      line(job, 'done');
    },
  };
}

async function measure(jobs: readonly Job[], former: Measured): Promise<Figures> {
  const startMs = performance.now();
  const measured = await runPool(jobs, Math.min(2, availableParallelism()), progressOn(process.stderr, jobs));
  return {
    machine: { cores: cpus().length, cpu: cpus()[0]?.model.trim() ?? 'unknown', node: process.version },
    command: ['npm run scale --', ...process.argv.slice(2)].join(' '),
    seconds: Math.round((performance.now() - startMs) / 1_000),
    ...combine([former, ...measured]),
  };
}

function formerFigures(folder: string): Measured {
  const file = join(folder, FIGURES);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Figures) : {};
}

/** As many digits as mean something. */
function rounded(_: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(5)) : value;
}

function measuredBy({ command, seconds, machine }: Figures): string {
  return `Last measured by \`${command}\` in ${seconds} s, with Node ${machine.node} on ${machine.cores} cores.`;
}

async function write(folder: string, figures: Figures): Promise<void> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, FIGURES), `${JSON.stringify(figures, rounded, 2)}\n`);
  for (const [name, svg] of await drawPictures(figures))
    writeFileSync(join(folder, `${name}.svg`), `${svg}\n`);
  if (folder !== DOCS) return;
  const readme = join(folder, 'README.md');
  const text = readFileSync(readme, 'utf8');
  writeFileSync(
    readme,
    text.replace(
      TABLES,
      (_, begin, end) => `${begin}\n${measuredBy(figures)}\n\n${renderTables(figures)}\n${end}`,
    ),
  );
}

async function main(): Promise<void> {
  const { quick, only, out } = parseOptions();
  const folder = resolve(out ?? DOCS);
  const all = quick ? QUICK : FULL;
  const jobs = only.length === 0 ? all : all.filter(({ name }) => only.some((text) => name.includes(text)));
  if (jobs.length === 0) throw new Error(`--only: one of\n${all.map(({ name }) => `  ${name}`).join('\n')}`);
  const figures = await measure(jobs, only.length === 0 ? {} : formerFigures(folder));
  if (out !== undefined || !quick) await write(folder, figures);
  console.log(renderTables(figures));
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
});
