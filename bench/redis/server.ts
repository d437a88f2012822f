import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchContext } from '../benchmark.js';
import { hasEnded, lastLines, stopProcess, waitUntil } from '../processes.js';
import { RedisConnection } from './connection.js';

const MASTER_PORT = 23_201;
const REPLICAS = 2;
const START_TIMEOUT_MS = 15_000;

/** A Redis master with two replicas, each of which syncs its log with every write. */
export interface RedisServers {
  readonly port: number;
  stop(): Promise<void>;
}

export async function startRedis(context: BenchContext): Promise<RedisServers> {
  context.progress('starting three redis-server processes');
  const folder = join(context.workFolder, 'redis');
  rmSync(folder, { recursive: true, force: true });
  const servers = Array.from({ length: REPLICAS + 1 }, (_, index) => startServer(context, folder, index));
  const stop = async () => {
    await Promise.all(servers.map((server) => stopProcess(server.process)));
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await waitUntil('Redis with two replicas online', START_TIMEOUT_MS, () => {
      const ended = servers.find((server) => hasEnded(server.process));
      if (ended) throw new Error(`redis-server ended:\n${lastLines(ended.logFile)}`);
      return hasReplicas();
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { port: MASTER_PORT, stop };
}

function startServer(context: BenchContext, folder: string, index: number) {
  const dir = join(folder, String(index));
  mkdirSync(dir, { recursive: true });
  const port = MASTER_PORT + index;
  const logFile = join(dir, 'out.log');
  const args = [
    '--port',
    `${port}`,
    '--bind',
    '127.0.0.1',
    '--dir',
    dir,
    '--save',
    '',
    '--appendonly',
    'yes',
  ];
  args.push('--appendfsync', 'always', '--repl-diskless-sync-delay', '0');
  if (index > 0) args.push('--replicaof', '127.0.0.1', `${MASTER_PORT}`);
  return { process: context.processes.spawnLogged('redis-server', args, logFile), logFile };
}

async function hasReplicas(): Promise<boolean> {
  try {
    const connection = await RedisConnection.open(MASTER_PORT);
    const [info] = await connection.send([['INFO', 'replication']]);
    connection.close();
    return String(info).match(/state=online/g)?.length === REPLICAS;
  } catch {
    return false; // Not listening yet.
  }
}
