import { mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { logPath } from '../../cli/state-folder.js';
import { loadClusterConfig } from '../../node/config-file.js';
import { PROJECT } from './drill-cluster.js';
import { diskFull, mountSmallDisk, type SmallDisk } from './faults/disk-full.js';
import type { Fault } from './faults/fault.js';
import { NETWORK_FAULTS } from './faults/network.js';
import { PROCESS_FAULTS } from './faults/processes.js';
import { STORE_FAULTS } from './faults/stores.js';
import { Nodes } from './nodes.js';
import { makeOwnCluster, startOwnCluster } from './own-cluster.js';
import { chaosRun, type RunOutcome } from './run.js';

/** `chaos`: one long run on a cluster of its own, or on one that already runs. */

export interface ChaosOptions {
  seconds: number;
  seed: string;
  nodes: number;
  port: number;
  faults?: string[];
  keep: boolean;
  config?: string;
  data?: string;
  destructive: boolean;
  say(line: string): void;
  interrupted: Promise<void>;
}

/** The exit code of a command line that makes no sense. */
const USAGE = 2;
const DISK_FULL = 'disk-full';
export const ALL_FAULTS = [...PROCESS_FAULTS, ...NETWORK_FAULTS, ...STORE_FAULTS]
  .map(({ name }) => name)
  .concat(DISK_FULL);

/** Resolves with the process's exit code. */
export async function chaos(options: ChaosOptions): Promise<{ code: number; report: string }> {
  const { seed, say } = options;
  const folder = join(PROJECT, '.tallyring', 'chaos', `seed-${seed}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  say(`seed ${seed}, ${options.seconds} s, in ${folder}`);
  const { failed, report } = await (options.config === undefined
    ? onOwnCluster(options, folder)
    : onRunningCluster(options, folder));
  if (!failed && !options.keep) rmSync(folder, { recursive: true, force: true });
  const where = failed ? `\nFAILED; the run's folder is kept: ${folder}` : '';
  return { code: failed ? 1 : 0, report: `${report}${where}\nseed ${seed}` };
}

async function onOwnCluster(options: ChaosOptions, folder: string): Promise<RunOutcome> {
  const cluster = makeOwnCluster(folder, options.nodes, options.port);
  const { nodes, links } = cluster;
  const lacking: string[] = [];
  let disk: SmallDisk | undefined;
  try {
    const faults = chosen([...PROCESS_FAULTS, ...NETWORK_FAULTS, ...STORE_FAULTS], options);
    if (options.faults?.includes(DISK_FULL) ?? true) {
      const mounted = mountSmallDisk(nodes, nodes.ids.at(-1)!);
      if ('lacks' in mounted) lacking.push(`${DISK_FULL}: ${mounted.lacks}`);
      else {
        disk = mounted;
        faults.push(diskFull(disk));
      }
    }
    for (const text of lacking) options.say(`not struck: ${text}`);
    await startOwnCluster(cluster);
    return await chaosRun({ ...options, folder, nodes, links, faults, lacking });
  } finally {
    await cluster.close();
    disk?.unmount();
  }
}

async function onRunningCluster(options: ChaosOptions, folder: string): Promise<RunOutcome> {
  const configFile = resolve(options.config!);
  const data = resolve(options.data!);
  const nodes = new Nodes({
    config: await loadClusterConfig(configFile),
    data,
    configFileOf: () => configFile,
    logFileOf: (id) => logPath(data, id),
  });
  const down = nodes.ids.filter((id) => !nodes.isAlive(id));
  if (down.length > 0) throw new Error(`${down.join(', ')} do not run on ${data}: start the cluster first`);
  const possible = options.destructive ? [...PROCESS_FAULTS, ...STORE_FAULTS] : PROCESS_FAULTS;
  const lacking = [
    `${NETWORK_FAULTS.map(({ name }) => name).join(', ')}, ${DISK_FULL}: only on a cluster of the run's own`,
    ...(options.destructive
      ? []
      : [`${STORE_FAULTS.map(({ name }) => name).join(', ')}: only with --destructive`]),
  ];
  for (const text of lacking) options.say(`not struck: ${text}`);
  const faults = chosen(possible, options);
  return chaosRun({ ...options, folder, nodes, links: undefined, faults, lacking });
}

function chosen(faults: readonly Fault[], { faults: names }: ChaosOptions): Fault[] {
  return faults.filter(({ name }) => names?.includes(name) ?? true);
}

/** The options as they are typed. */
export function chaosCommand(): Command {
  const command = new Command('chaos')
    .description(`Faults of every kind strike a cluster of real processes while clients count and read; then all
is undone and checked. Exits with 1 when a check failed.`)
    .option('--seconds <n>', 'how long the faults strike', '120')
    .option('--seed <s>', 'what the order of faults is drawn from (random, and printed)')
    .option('--faults <names>', `only these, with commas between: ${ALL_FAULTS.join(', ')}`)
    .option('--nodes <n>', 'nodes of the cluster that is made', '3')
    .option('--port <n>', 'its first port', '24401')
    .option('--keep', "keep the run's folder though all held")
    .option('--config <file>', 'a cluster that runs already on this machine, with --data')
    .option('--data <folder>', 'its state folder')
    .option('--destructive', 'there, too: damage stores (one node at a time)');
  return command.action(async (given: Record<string, string | undefined>) => {
    process.exitCode = await runCommand(command, given);
  });
}

async function runCommand(command: Command, given: Record<string, string | undefined>): Promise<number> {
  const refuse = (text: string): never => command.error(text, { exitCode: USAGE });
  const whole = (name: string, least: number): number => {
    const value = Number(given[name]);
    return Number.isSafeInteger(value) && value >= least
      ? value
      : refuse(`--${name} ${given[name]} is not possible`);
  };
  const faults = given.faults?.split(',').map((name) => name.trim());
  const unknown = faults?.filter((name) => !ALL_FAULTS.includes(name)) ?? [];
  if (unknown.length > 0) refuse(`no fault ${unknown.join(', ')}; there are ${ALL_FAULTS.join(', ')}`);
  if ((given.config === undefined) !== (given.data === undefined)) refuse('--config and --data go together');
  const interrupted = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  const { code, report } = await chaos({
    seconds: whole('seconds', 1),
    seed: given.seed ?? String(Math.floor(Math.random() * 1e9)),
    nodes: whole('nodes', 3),
    port: whole('port', 1_024),
    keep: given.keep !== undefined,
    destructive: given.destructive !== undefined,
    ...(faults && { faults }),
    ...(given.config !== undefined && { config: given.config, data: given.data! }),
    say: (line) => console.log(`[chaos] ${line}`),
    interrupted,
  });
  console.log(report);
  return code;
}
