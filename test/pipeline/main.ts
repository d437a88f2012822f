import Table from 'cli-table3';
import { Command, Option } from 'commander';
import { belowQuorum } from './drills/below-quorum.js';
import { deadLetters } from './drills/dead-letters.js';
import type { PipelineDrill } from './drills/drill.js';
import { exact } from './drills/exact.js';
import { kills } from './drills/kills.js';
import { logReset } from './drills/log-reset.js';
import { retries } from './drills/retries.js';
import type { LogKind } from './logs/drill-log.js';
import { runDrill } from './run.js';

/** `npm run test:pipeline`: the drills at full length, on real processes, with progress and a table at the end. */
const DRILLS: PipelineDrill[] = [exact, kills, retries, belowQuorum, logReset, deadLetters];

interface Given {
  only?: string[];
  seconds?: string;
  seed: string;
  log: LogKind;
}

async function main(): Promise<void> {
  const names = DRILLS.map(({ name }) => name);
  const program = new Command('test:pipeline')
    .description('Drills of the counting pipeline on real processes. Exits with 1 when one failed.')
    .addOption(new Option('--only <names...>', 'only these').choices(names))
    .option('--seconds <n>', 'how long each of them goes on (each its own default)')
    .option('--seed <s>', 'what chance is drawn from', String(Math.floor(Math.random() * 1e9)))
    .addOption(new Option('--log <kind>', 'which log').choices(['embedded', 'kafka']).default('embedded'))
    .parse();
  const { only = names, seconds, seed, log } = program.opts<Given>();
  if (seconds !== undefined && !(Number(seconds) > 0)) program.error(`--seconds ${seconds} is not possible`);
  console.log(`seed ${seed}`);
  // What the drill started ends with this process.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  const table = new Table({
    head: ['drill', 'finding', ''],
    style: { head: [], border: [] },
    colWidths: [14, 50, 70],
    wordWrap: true,
  });
  for (const drill of DRILLS.filter(({ name, logs }) => only.includes(name) && logs.includes(log))) {
    const startMs = performance.now();
    const say = (line: string) =>
      console.log(`[${drill.name} ${((performance.now() - startMs) / 1_000).toFixed(0)} s] ${line}`);
    try {
      const options = { seconds: Number(seconds ?? drill.seconds.long), seed, log, say };
      for (const { what, value } of await runDrill(drill, options)) table.push([drill.name, what, value]);
    } catch (error) {
      process.exitCode = 1;
      say(`FAILED: ${(error as Error).message}`);
      table.push([drill.name, 'FAILED', (error as Error).message.split('\n')[0]!.slice(0, 80)]);
    }
  }
  console.log(table.toString());
}

await main();
