import Table from 'cli-table3';
import { Command } from 'commander';
import { chaosCommand } from './chaos-command.js';
import { DrillCluster } from './drill-cluster.js';
import type { Drill, Finding } from './drills/drill.js';
import { lostStores } from './drills/lost-stores.js';
import { majorityLoss } from './drills/majority-loss.js';
import { importWithKills, realImport } from './drills/real-import.js';
import { rebuild } from './drills/rebuild.js';
import { sdkProcesses } from './drills/sdk-processes.js';

/** `npm run test:chaos`: the drills at full length, on real processes, with progress and a table at the end. */
const DRILLS: Drill[] = [realImport, importWithKills, sdkProcesses, majorityLoss, lostStores, rebuild];
const FIRST_PORT = 24_101;

async function runDrill(drill: Drill, seconds: number): Promise<Finding[]> {
  const cluster = new DrillCluster(drill.name, FIRST_PORT);
  const startMs = performance.now();
  const say = (line: string) =>
    console.log(`[${drill.name} ${((performance.now() - startMs) / 1_000).toFixed(0)} s] ${line}`);
  try {
    await cluster.up();
    say(drill.title);
    return await drill.run({ cluster, seconds, say });
  } finally {
    await cluster.close();
  }
}

async function runDrills(names: readonly string[], seconds: number): Promise<void> {
  const table = new Table({ head: ['drill', 'finding', ''], style: { head: [], border: [] } });
  for (const drill of DRILLS.filter(({ name }) => names.length === 0 || names.includes(name))) {
    try {
      const findings = await runDrill(drill, seconds);
      for (const { what, value } of findings) table.push([drill.name, what, value]);
    } catch (error) {
      process.exitCode = 1;
      console.log(`[${drill.name}] FAILED: ${(error as Error).message}`);
      table.push([drill.name, 'FAILED', (error as Error).message.slice(0, 80)]);
    }
  }
  console.log(table.toString());
}

/** `chaos …` is a command of its own; without any name it follows the drills, as long as it is by default. */
async function main(words: readonly string[]): Promise<void> {
  if (words[0] === 'chaos') {
    await chaosCommand().parseAsync(words.slice(1), { from: 'user' });
    return;
  }
  const names = DRILLS.map((drill) => drill.name).join(', ');
  const program = new Command('test:chaos')
    .argument('[drills...]', `which: ${names}, or chaos with options of its own (all)`)
    .option('--seconds <n>', 'how long each drill counts', '65')
    .parse(words, { from: 'user' });
  const unknown = program.args.filter((name) => !DRILLS.some((drill) => drill.name === name));
  if (unknown.length > 0) program.error(`no drill ${unknown.join(', ')}`);
  await runDrills(program.args, Number(program.opts<{ seconds: string }>().seconds));
  if (program.args.length > 0) return;
  const drillsFailed = process.exitCode === 1;
  await chaosCommand().parseAsync([], { from: 'user' });
  if (drillsFailed) process.exitCode = 1;
}

await main(process.argv.slice(2));
