import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClusterConfig, NodeConfig } from '../node/config.js';
import type { NodeReport } from '../proto/calls.js';
import { asTallyringError } from '../proto/errors.js';
import { addressOf, type CommonOptions, configOf, configPathOf, dataFolderOf } from './contact.js';
import type { Environment, OperatorConnection } from './environment.js';
import { usage } from './exit.js';
import { nodePart, type Part, partOf, runtimeFlags, serviceParts, stopSteps } from './parts.js';
import { claimPidFile, hasData, hold, livePid, logPath, nodeFolder, unhold } from './state-folder.js';

/** A cluster of this machine: its configuration, and where its state is. */
export interface LocalCluster {
  environment: Environment;
  config: ClusterConfig;
  /** Of the counting pipeline; none when cluster.yml has no such section. */
  services: readonly Part[];
  configPath: string;
  data: string;
}

export async function localCluster(environment: Environment, options: CommonOptions): Promise<LocalCluster> {
  const config = await configOf(environment, options);
  const { loadServicesConfig } = await import('./services-config.js');
  return {
    environment,
    config,
    services: serviceParts(loadServicesConfig(configPathOf(environment, options), config)),
    configPath: configPathOf(environment, options),
    data: dataFolderOf(environment, options),
  };
}

/** All that runs, in the order in which it is started. */
export function partsOf({ config, services }: LocalCluster): Part[] {
  return [...config.nodes.map(nodePart), ...services];
}

/** The configuration of a node. Throws INVALID_ARGUMENT that lists the ones there are. */
export function nodeOf(config: ClusterConfig, nodeId: string): NodeConfig {
  const node = config.nodes.find(({ id }) => id === nodeId);
  if (node !== undefined) return node;
  throw usage(
    `no node ${JSON.stringify(nodeId)} in cluster ${config.cluster}; there are ${config.nodes.map(({ id }) => id).join(', ')}`,
  );
}

/** A cluster is new, and says so, only when none of its nodes ever had data. */
export function isNewCluster(cluster: LocalCluster): boolean {
  return cluster.config.nodes.every(({ id }) => !hasData(cluster.data, id));
}

export interface Launched {
  /** Of the node or service. */
  id: string;
  child: ChildProcess;
  /** Size of the log before this start. */
  logFrom: number;
}

/**
 * Starts a node or service as a process of its own, in its own process group: it outlives this one, and Ctrl-C in
 * this terminal does not reach it.
 */
export function launch(
  cluster: LocalCluster,
  id: string,
  told: { newCluster?: boolean; acceptLoss?: boolean } = {},
): Launched {
  const { data, configPath, environment } = cluster;
  const part = partOf(partsOf(cluster), id);
  mkdirSync(nodeFolder(data, id), { recursive: true });
  unhold(data, id);
  const log = openSync(logPath(data, id), 'a');
  const main = join(environment.projectRoot, 'dist', 'cli', 'main.js');
  const words = [...runtimeFlags(part.kind), main, ...part.words, '--config', configPath, '--data', data];
  if (told.newCluster) words.push('--new-cluster');
  if (told.acceptLoss) words.push('--accept-loss');
  try {
    const logFrom = statSync(logPath(data, id)).size;
    const child = spawn(process.execPath, words, {
      detached: true,
      stdio: ['ignore', log, log],
      cwd: environment.projectRoot,
    });
    child.unref();
    // At once, so that `cluster down` in another terminal finds a node that is only starting.
    if (child.pid !== undefined) claimPidFile(data, id, child.pid);
    child.on('error', () => {}); // seen as "never came up"
    return { id, child, logFrom };
  } finally {
    closeSync(log);
  }
}

/** A node as seen from outside: its process, and what it answers. */
export interface Sight {
  node: NodeConfig;
  pid: number | undefined;
  report: NodeReport | undefined;
  /** Whether this process answered before. */
  answered: boolean;
}

/** Keeps one connection per node. */
export interface Watcher {
  look(): Promise<Sight[]>;
  close(): void;
}

const LOOK_TIMEOUT_MS = 1_000;

/** Asks nodes for their reports, by one connection each. */
export interface Reporter {
  /** Undefined when that node does not answer, or another one does in its place. */
  ask(node: NodeConfig): Promise<NodeReport | undefined>;
  close(): void;
}

export function reporter(environment: Environment): Reporter {
  const connections = new Map<string, OperatorConnection>();
  return {
    async ask(node) {
      let connection = connections.get(node.id);
      if (connection === undefined) {
        connection = await environment.connect(addressOf(node));
        connections.set(node.id, connection);
      }
      const report = await connection.report({ timeoutMs: LOOK_TIMEOUT_MS }).catch(() => undefined);
      // A failed connection waits longer and longer before it tries again; a new one tries at once.
      if (report === undefined) {
        connection.close();
        connections.delete(node.id);
      }
      return report?.nodeId === node.id ? report : undefined;
    },
    close: () => {
      for (const connection of connections.values()) connection.close();
      connections.clear();
    },
  };
}

export function watch(cluster: LocalCluster, nodes: readonly NodeConfig[] = cluster.config.nodes): Watcher {
  const reports = reporter(cluster.environment);
  const answeredAs = new Map<string, number>();
  async function lookAt(node: NodeConfig): Promise<Sight> {
    const pid = livePid(cluster.data, node.id);
    if (pid === undefined) return { node, pid, report: undefined, answered: false };
    const report = await reports.ask(node);
    const answered = answeredAs.get(node.id) === pid;
    if (report !== undefined) answeredAs.set(node.id, pid);
    return { node, pid, report, answered };
  }
  return { look: () => Promise.all(nodes.map(lookAt)), close: () => reports.close() };
}

export function isReady(sight: Sight): boolean {
  return sight.report?.status === 'normal' && sight.report.storeState === 'ok';
}

/** One word and, where known, why. */
export function stateOf({ pid, report, answered }: Sight): string {
  if (pid === undefined) return 'down';
  if (report === undefined) return answered ? 'does not answer' : 'starting, or does not answer';
  if (report.storeState === 'failed') return 'store failed';
  return report.waitsFor === '' ? report.status : `${report.status}, waits for ${report.waitsFor}`;
}

/** A state without the number of entries merged so far, which changes all the time. */
export function withoutFigures(state: string): string {
  return state.replace(/\d+ (?=entries|pulled)/g, '');
}

/** Sends a signal to the process of a node or service. False when it does not run. */
export function signalPart(cluster: LocalCluster, id: string, signal: NodeJS.Signals): boolean {
  const pid = livePid(cluster.data, id);
  if (pid === undefined) return false;
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw asTallyringError(error);
  }
}

/** Waits until the processes are gone; those that are not after `timeoutMs`. */
export async function waitGone(
  cluster: LocalCluster,
  ids: readonly string[],
  timeoutMs: number,
): Promise<string[]> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const left = ids.filter((id) => livePid(cluster.data, id) !== undefined);
    if (left.length === 0 || performance.now() > deadline) return left;
    await sleep(50);
  }
}

/**
 * SIGTERM to all of a step (woken first if paused), SIGKILL to those that do not end, then the next step. Nobody
 * starts them again by itself. Returns who had to be killed.
 */
export async function stopParts(
  cluster: LocalCluster,
  ids: readonly string[],
  timeoutMs: number,
): Promise<string[]> {
  const killed: string[] = [];
  for (const step of stopSteps(partsOf(cluster).filter(({ id }) => ids.includes(id)))) {
    const stepIds = step.map(({ id }) => id);
    for (const id of stepIds) {
      hold(cluster.data, id);
      signalPart(cluster, id, 'SIGTERM');
      signalPart(cluster, id, 'SIGCONT');
    }
    const stubborn = await waitGone(cluster, stepIds, timeoutMs);
    for (const id of stubborn) signalPart(cluster, id, 'SIGKILL');
    await waitGone(cluster, stubborn, 5_000);
    killed.push(...stubborn);
  }
  return killed;
}
