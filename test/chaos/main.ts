import Table from 'cli-table3';
import { Command } from 'commander';
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

const program = new Command('chaos')
  .argument('[drills...]', `which: ${DRILLS.map((drill) => drill.name).join(', ')} (all)`)
  .option('--seconds <n>', 'how long each drill counts', '65')
  .parse();
const wanted = program.args;
const unknown = wanted.filter((name) => !DRILLS.some((drill) => drill.name === name));
if (unknown.length > 0) program.error(`no drill ${unknown.join(', ')}`);
const table = new Table({ head: ['drill', 'finding', ''], style: { head: [], border: [] } });
let failed = 0;
for (const drill of DRILLS.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
  try {
    const findings = await runDrill(drill, Number(program.opts<{ seconds: string }>().seconds));
    for (const { what, value } of findings) table.push([drill.name, what, value]);
  } catch (error) {
    failed++;
    console.log(`[${drill.name}] FAILED: ${(error as Error).message}`);
    table.push([drill.name, 'FAILED', (error as Error).message.slice(0, 80)]);
  }
}
console.log(table.toString());
process.exitCode = failed > 0 ? 1 : 0;
