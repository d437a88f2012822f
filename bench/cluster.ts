import type { ChildProcess } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { grpcTransport } from '../client/transport/grpc.js';
import type { Granularity } from '../counter/window.js';
import type { BenchContext } from './benchmark.js';
import { hasEnded, lastLines, residentMiB, stopProcess, waitUntil } from './processes.js';

const FIRST_PORT = 23_101;
const NODE_IDS = ['n1', 'n2', 'n3'];
const START_TIMEOUT_MS = 60_000;
export const COMMAND = fileURLToPath(new URL('../cli/main.js', import.meta.url));

/** A three-node cluster, N = 3, of a benchmark's own. */
export interface BenchCluster {
  readonly addresses: readonly string[];
  /** What every command about it is given. */
  readonly options: readonly string[];
  readonly folder: string;
  /** Resident MiB of each node's process. */
  memoryMiB(): number[];
  stop(): Promise<void>;
}

interface StartedNode {
  nodeId: string;
  address: string;
  process: ChildProcess;
  logFile: string;
}

/** Starts three node processes on empty folders and waits until each sees all three up and normal. */
export async function startCluster(
  context: BenchContext,
  rollups: readonly Granularity[],
  services?: object,
): Promise<BenchCluster> {
  context.progress('starting three nodes');
  const folder = join(context.workFolder, 'cluster');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const configFile = join(folder, 'cluster.yml');
  writeFileSync(configFile, stringify({ ...clusterConfig(rollups), ...(services && { services }) }));
  const options = ['--config', configFile, '--data', join(folder, 'state')];
  const nodes = NODE_IDS.map((nodeId, index) => startNode(context, { nodeId, index, options, folder }));
  const stop = async () => {
    await Promise.all(nodes.map((node) => stopProcess(node.process)));
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await waitUntil('all three nodes up and normal', START_TIMEOUT_MS, () => areAllNormal(nodes));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    addresses: nodes.map((node) => node.address),
    options,
    folder,
    memoryMiB: () => nodes.map((node) => residentMiB(node.process.pid!)),
    stop,
  };
}

function clusterConfig(rollups: readonly Granularity[]) {
  return {
    cluster: 'bench',
    replication: { dc1: NODE_IDS.length },
    rollups,
    logLevel: 'warn',
    nodes: NODE_IDS.map((id, index) => ({ id, host: '127.0.0.1', port: FIRST_PORT + index })),
  };
}

interface NodeStart {
  nodeId: string;
  index: number;
  options: readonly string[];
  folder: string;
}

function startNode(context: BenchContext, { nodeId, index, options, folder }: NodeStart): StartedNode {
  const logFile = join(folder, `${nodeId}.log`);
  const args = [COMMAND, 'node', nodeId, ...options, '--new-cluster'];
  return {
    nodeId,
    address: `127.0.0.1:${FIRST_PORT + index}`,
    process: context.processes.spawnLogged(process.execPath, args, logFile),
    logFile,
  };
}

async function areAllNormal(nodes: readonly StartedNode[]): Promise<boolean> {
  const ended = nodes.find((node) => hasEnded(node.process));
  if (ended) throw new Error(`node ${ended.nodeId} ended:\n${lastLines(ended.logFile)}`);
  const views = await Promise.all(nodes.map((node) => seesAllNormal(node.address)));
  return views.every(Boolean);
}

async function seesAllNormal(address: string): Promise<boolean> {
  const connection = grpcTransport().connect(address);
  try {
    const { nodes } = await connection.describe({ timeoutMs: 1_000 });
    return nodes.length === NODE_IDS.length && nodes.every((node) => node.up && node.status === 'normal');
  } catch {
    return false; // Not listening yet.
  } finally {
    connection.close();
  }
}
