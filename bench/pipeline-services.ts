import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { runtimeFlags } from '../cli/parts.js';
import type { BenchContext } from './benchmark.js';
import { type BenchCluster, COMMAND, startCluster } from './cluster.js';
import { hasEnded, lastLines, residentMiB, stopProcess, waitUntil } from './processes.js';

const LOG_PORT = 23_120;
const LOG_METRICS_PORT = 23_121;
const PROCESSING_PORT = 23_130;
const QUERY_PORT = 23_140;
const START_TIMEOUT_MS = 60_000;

/** What `tallyring start` runs, for a benchmark: three nodes, log, one processing instance, query service. */
export interface BenchPipeline {
  readonly processingUrl: string;
  readonly queryUrl: string;
  /** Resident MiB by service. */
  memoryMiB(): Record<string, number>;
  stop(): Promise<void>;
}

type ServiceName = 'log' | 'processing' | 'query';

interface Service {
  name: ServiceName;
  process: ChildProcess;
  healthUrl: string;
}

export async function startPipeline(context: BenchContext): Promise<BenchPipeline> {
  const cluster = await startCluster(context, ['total', 'day', 'hour'], {
    log: { port: LOG_PORT, metricsPort: LOG_METRICS_PORT },
    processing: { instances: [{ name: 'p1', port: PROCESSING_PORT }] },
    query: { port: QUERY_PORT },
  });
  const services: Service[] = [];
  const stop = async () => {
    for (const { process } of services.reverse()) await stopProcess(process);
    await cluster.stop();
  };
  const start = async (name: ServiceName, port: number, args: readonly string[]) => {
    context.progress(`starting ${name}`);
    const service = startService(context, cluster, { name, port, args });
    services.push(service);
    await waitUntil(`${name} is well`, START_TIMEOUT_MS, () => isWell(service, cluster.folder));
  };
  try {
    await start('log', LOG_METRICS_PORT, ['log']);
    await start('processing', PROCESSING_PORT, ['processing', '--name', 'p1']);
    await start('query', QUERY_PORT, ['query']);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    processingUrl: `http://127.0.0.1:${PROCESSING_PORT}`,
    queryUrl: `http://127.0.0.1:${QUERY_PORT}`,
    memoryMiB: () =>
      Object.fromEntries(services.map(({ name, process }) => [name, residentMiB(process.pid!)])),
    stop,
  };
}

function startService(
  context: BenchContext,
  { folder, options }: BenchCluster,
  { name, port, args }: { name: ServiceName; port: number; args: readonly string[] },
): Service {
  const words = [...runtimeFlags(name), COMMAND, ...args, ...options];
  const process_ = context.processes.spawnLogged(process.execPath, words, join(folder, `${name}.log`));
  return { name, process: process_, healthUrl: `http://127.0.0.1:${port}/health` };
}

/** It serves, and a processing instance owns its partitions. */
async function isWell({ name, process, healthUrl }: Service, folder: string): Promise<boolean> {
  if (hasEnded(process)) throw new Error(`${name} ended:\n${lastLines(join(folder, `${name}.log`))}`);
  try {
    const answer = await fetch(healthUrl);
    const health = (await answer.json()) as { partitions?: { state?: string }[] };
    const partitions = name === 'processing' ? (health.partitions ?? []) : [];
    const isOwner = name !== 'processing' || partitions.length > 0;
    return answer.ok && isOwner && partitions.every(({ state }) => state === 'owner');
  } catch {
    return false; // Not listening yet.
  }
}
