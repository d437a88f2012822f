import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BenchContext } from '../benchmark.js';
import { waitUntil } from '../processes.js';

const START_SCRIPT = fileURLToPath(new URL('../../../scripts/cassandra/start', import.meta.url));
const DRIVER = 'cassandra-driver';
/** The driver is no dependency of tallyring: it is installed aside, when this peer is asked for. */
export const DRIVER_VERSION = '4.10.0';
const NODES = [1, 2, 3];

/** What is missing for this peer, in words; undefined when nothing is. */
export function missingForCassandra(): string | undefined {
  if (spawnSync('java', ['-version']).status !== 0) {
    return 'java is not installed (Debian, Ubuntu: apt-get install openjdk-17-jre-headless)';
  }
  if (spawnSync('mvn', ['-version']).status !== 0) {
    return 'mvn is not installed (Debian, Ubuntu: apt-get install maven)';
  }
  return undefined;
}

export interface CassandraServers {
  readonly contactPoints: readonly string[];
  /** Kills node 1, 2 or 3 with -9. */
  kill(node: number): void;
  /** Starts a killed node on what it has; resolves when it takes connections. */
  start(node: number): Promise<void>;
  stop(): Promise<void>;
}

/** When a write is on disk: before the answer, or within ten seconds (Cassandra's default). */
export type CommitLogSync = 'batch' | 'periodic';

type Surroundings = Pick<BenchContext, 'peersFolder' | 'processes' | 'progress'>;

/** Installs the driver once, into an ignored folder. Returns the folder to load it from. */
export async function installDriver(context: Surroundings): Promise<string> {
  const folder = join(context.peersFolder, 'driver');
  const manifest = join(folder, 'node_modules', DRIVER, 'package.json');
  if (existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).version === DRIVER_VERSION)
    return folder;
  context.progress(`installing ${DRIVER} ${DRIVER_VERSION} (once)`);
  mkdirSync(folder, { recursive: true });
  const args = [
    'install',
    '--prefix',
    folder,
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ];
  await runProgram(context, 'npm', [...args, `${DRIVER}@${DRIVER_VERSION}`]);
  return folder;
}

/** Starts three nodes on empty folders, one after the other. */
export async function startCassandra(
  context: Surroundings,
  commitLogSync: CommitLogSync,
): Promise<CassandraServers> {
  const folder = join(context.peersFolder, 'cassandra');
  const removeData = () => {
    for (const n of NODES) rmSync(join(folder, `n${n}`), { recursive: true, force: true });
  };
  const kill = () => {
    for (const n of NODES) killByPidFile(join(folder, `n${n}`, 'pid'));
  };
  kill();
  removeData();
  const forget = context.processes.onKill(kill);
  const stop = async () => {
    const pids = NODES.map((n) => readPid(join(folder, `n${n}`, 'pid')));
    kill();
    await waitUntil('Cassandra gone', 10_000, () =>
      pids.every((pid) => pid === undefined || !isRunning(pid)),
    );
    forget();
    removeData();
  };
  const start = (n: number) =>
    runProgram(context, START_SCRIPT, [folder, `${n}`], { COMMITLOG_SYNC: commitLogSync });
  try {
    for (const n of NODES) {
      context.progress(`starting node ${n} of ${NODES.length} (the first run fetches Cassandra)`);
      await start(n);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    contactPoints: NODES.map((n) => `127.0.0.${n}`),
    kill: (n) => killByPidFile(join(folder, `n${n}`, 'pid')),
    start,
    stop,
  };
}

function readPid(pidFile: string): number | undefined {
  if (!existsSync(pidFile)) return undefined;
  const pid = Number(readFileSync(pidFile, 'utf8'));
  return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
}

/** Whether a process runs and is the Cassandra that we started: a pid may have been given to another since. */
function isRunning(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('CassandraDaemon');
  } catch {
    return false;
  }
}

function killByPidFile(pidFile: string): void {
  const pid = readPid(pidFile);
  if (pid !== undefined && isRunning(pid)) process.kill(pid, 'SIGKILL');
}

/** Runs a program to its end. Throws with what it wrote to stderr when it fails. */
function runProgram(
  context: Surroundings,
  command: string,
  args: readonly string[],
  extraEnv: Record<string, string> = {},
): Promise<void> {
  const child = context.processes.add(
    spawn(command, args, { env: { ...process.env, ...extraEnv }, stdio: ['ignore', 'ignore', 'pipe'] }),
  );
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    // Not 'close': the nodes that a script leaves running may keep its stderr open.
    child.once('exit', (code) => {
      child.stderr.destroy();
      if (code === 0) resolve();
      else reject(new Error(`${command} failed (${code}): ${stderr.trim()}`));
    });
  });
}
