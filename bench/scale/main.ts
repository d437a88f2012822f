import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import type { Figures } from './figures.js';
import { combine, FULL, type Job, QUICK } from './jobs.js';
import { drawPictures } from './pictures.js';
import { type PoolProgress, runPool } from './pool.js';
import { renderTables } from './tables.js';

/**
 * npm run scale -- [--quick] [--out folder] [--draw]
 *
 * Measures gossip and the ring on paper, and writes figures.json, a picture of each and the tables of README.md.
 */
const DOCS = fileURLToPath(new URL('../../../docs/scale', import.meta.url));
const TABLES = /(<!-- tables -->\n)[\s\S]*(<!-- end of tables -->)/;
const SHOW_EVERY_MS = 5_000;

interface Options {
  quick?: boolean;
  out?: string;
  draw?: boolean;
}

function parseOptions(): Options {
  return new Command('scale')
    .description('Simulates gossip and failure detection at 10, 100 and 1,000 nodes and measures the ring.')
    .option('--quick', 'a small version, in seconds; shows its tables and writes nothing without --out')
    .option('--out <folder>', 'where figures and pictures go (default: docs/scale)')
    .option('--draw', 'measure nothing: draw the pictures of the figures.json that is there')
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

async function measure(jobs: readonly Job[]): Promise<Figures> {
  const startMs = performance.now();
  const measured = await runPool(jobs, Math.min(2, availableParallelism()), progressOn(process.stderr, jobs));
  return {
    machine: { cores: cpus().length, cpu: cpus()[0]?.model.trim() ?? 'unknown', node: process.version },
    seconds: Math.round((performance.now() - startMs) / 1_000),
    ...combine(measured),
  };
}

/** As many digits as mean something. */
function rounded(_: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(5)) : value;
}

async function write(folder: string, figures: Figures): Promise<void> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'figures.json'), `${JSON.stringify(figures, rounded, 2)}\n`);
  for (const [name, svg] of await drawPictures(figures))
    writeFileSync(join(folder, `${name}.svg`), `${svg}\n`);
  if (folder !== DOCS) return;
  const readme = join(folder, 'README.md');
  const text = readFileSync(readme, 'utf8');
  writeFileSync(
    readme,
    text.replace(TABLES, (_, begin, end) => `${begin}\n${renderTables(figures)}\n${end}`),
  );
}

async function main(): Promise<void> {
  const { quick, draw, out } = parseOptions();
  const folder = out ?? DOCS;
  const figures = draw
    ? (JSON.parse(readFileSync(join(folder, 'figures.json'), 'utf8')) as Figures)
    : await measure(quick ? QUICK : FULL);
  if (out !== undefined || !quick) await write(folder, figures);
  console.log(renderTables(figures));
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
});
