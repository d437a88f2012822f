import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClusterConfig, NodeConfig } from '../node/config.js';
import type { NodeReport } from '../proto/calls.js';
import { asTallyringError, TallyringError } from '../proto/errors.js';
import { addressOf, type CommonOptions, configOf, configPathOf, dataFolderOf } from './contact.js';
import type { Environment, OperatorConnection } from './environment.js';
import { usage } from './exit.js';
import { claimPidFile, hasData, lastLines, livePid, logPath, nodeFolder } from './state-folder.js';

/** A cluster of this machine: its configuration, and where its state is. */
export interface LocalCluster {
  environment: Environment;
  config: ClusterConfig;
  configPath: string;
  data: string;
}

export async function localCluster(environment: Environment, options: CommonOptions): Promise<LocalCluster> {
  return {
    environment,
    config: await configOf(environment, options),
    configPath: configPathOf(environment, options),
    data: dataFolderOf(environment, options),
  };
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
  nodeId: string;
  child: ChildProcess;
  /** Size of the log before this start. */
  logFrom: number;
}

/**
 * Starts a node as a process of its own, in its own process group: it outlives this one, and Ctrl-C in this
 * terminal does not reach it.
 */
export function launch(cluster: LocalCluster, nodeId: string, newCluster: boolean): Launched {
  const { data, configPath, environment } = cluster;
  mkdirSync(nodeFolder(data, nodeId), { recursive: true });
  const log = openSync(logPath(data, nodeId), 'a');
  const main = join(environment.projectRoot, 'dist', 'cli', 'main.js');
  const words = [main, 'node', nodeId, '--config', configPath, '--data', data];
  if (newCluster) words.push('--new-cluster');
  try {
    const logFrom = statSync(logPath(data, nodeId)).size;
    const child = spawn(process.execPath, words, {
      detached: true,
      stdio: ['ignore', log, log],
      cwd: environment.projectRoot,
    });
    child.unref();
    // At once, so that `cluster down` in another terminal finds a node that is only starting.
    if (child.pid !== undefined) claimPidFile(data, nodeId, child.pid);
    child.on('error', () => {}); // seen as "never came up"
    return { nodeId, child, logFrom };
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

export function watch(cluster: LocalCluster, nodes: readonly NodeConfig[] = cluster.config.nodes): Watcher {
  const connections = new Map<string, OperatorConnection>();
  const answeredAs = new Map<string, number>();
  async function lookAt(node: NodeConfig): Promise<Sight> {
    const pid = livePid(cluster.data, node.id);
    if (pid === undefined) return { node, pid, report: undefined, answered: false };
    let connection = connections.get(node.id);
    if (connection === undefined) {
      connection = await cluster.environment.connect(addressOf(node));
      connections.set(node.id, connection);
    }
    const report = await connection.report({ timeoutMs: LOOK_TIMEOUT_MS }).catch(() => undefined);
    // A failed connection waits longer and longer before it tries again; a new one tries at once.
    if (report === undefined) {
      connection.close();
      connections.delete(node.id);
    }
    const own = report?.nodeId === node.id ? report : undefined;
    const answered = answeredAs.get(node.id) === pid;
    if (own !== undefined) answeredAs.set(node.id, pid);
    return { node, pid, report: own, answered };
  }
  return {
    look: () => Promise.all(nodes.map(lookAt)),
    close: () => {
      for (const connection of connections.values()) connection.close();
      connections.clear();
    },
  };
}

export function isReady(sight: Sight): boolean {
  return sight.report?.status === 'normal' && sight.report.storeState === 'ok';
}

/** Whether `a` knows by gossip what `b` says of itself. */
function knows(a: NodeReport, b: NodeReport): boolean {
  const endpoint = a.endpoints.find(({ nodeId }) => nodeId === b.nodeId);
  if (endpoint === undefined) return false;
  return endpoint.up && endpoint.facts.status === b.status && endpoint.facts.storeId === b.storeId;
}

/**
 * Whether all nodes that answer know each other: only then `status`, asked of any of them, is the whole truth.
 * With `nodeId`: whether that node and each of the others do.
 */
export function isAcquainted(sights: readonly Sight[], nodeId?: string): boolean {
  const reports = sights.flatMap(({ report }) => report ?? []);
  return reports.every((a) =>
    reports.every((b) => {
      if (a === b || (nodeId !== undefined && a.nodeId !== nodeId && b.nodeId !== nodeId)) return true;
      return knows(a, b);
    }),
  );
}

/** One word and, where known, why. */
export function stateOf({ pid, report, answered }: Sight): string {
  if (pid === undefined) return 'down';
  if (report === undefined) return answered ? 'does not answer' : 'starting, or does not answer';
  if (report.storeState === 'failed') return 'store failed';
  return report.waitsFor === '' ? report.status : `${report.status}, waits for ${report.waitsFor}`;
}

export interface WaitOptions {
  launched: readonly Launched[];
  timeoutMs: number;
  /** Told at every change. */
  progress(sights: readonly Sight[]): void;
  interrupted?(): boolean;
  /** That all are ready when absent. */
  isEnough?(sights: readonly Sight[]): boolean;
  /** What the nodes know of each other is waited for too, though not for ever: the nodes serve without it. */
  isAcquainted?(sights: readonly Sight[]): boolean;
}

const ACQUAINTANCE_TIMEOUT_MS = 15_000;

/**
 * Waits until these nodes are up and normal. Throws UNAVAILABLE with the last lines of its log when a process
 * that was just started ends, and when the time is over.
 */
export async function waitReady(
  watcher: Watcher,
  cluster: LocalCluster,
  options: WaitOptions,
): Promise<Sight[]> {
  const deadline = performance.now() + options.timeoutMs;
  const isEnough = options.isEnough ?? ((sights) => sights.every(isReady));
  let shown = '';
  let enoughSince: number | undefined;
  for (;;) {
    const sights = await watcher.look();
    const state = sights.map(stateOf).join('|');
    if (state !== shown) {
      shown = state;
      options.progress(sights);
    }
    if (options.interrupted?.() === true) return sights;
    enoughSince = isEnough(sights) ? (enoughSince ?? performance.now()) : undefined;
    if (enoughSince !== undefined) {
      const isLate = performance.now() - enoughSince > ACQUAINTANCE_TIMEOUT_MS;
      if (isLate || (options.isAcquainted ?? isAcquainted)(sights)) return sights;
    }
    for (const launched of options.launched) {
      const { exitCode, signalCode } = launched.child;
      if (exitCode !== null || signalCode !== null) throw died(cluster, launched);
    }
    if (enoughSince === undefined && performance.now() > deadline) {
      const late = sights
        .filter((sight) => !isReady(sight))
        .map((sight) => `${sight.node.id}: ${stateOf(sight)}`);
      throw new TallyringError(
        'UNAVAILABLE',
        `not up and normal after ${Math.round(options.timeoutMs / 1000)} s: ${late.join('; ')}; logs are in ${cluster.data}/NODEID/log`,
      );
    }
    await sleep(200);
  }
}

function died(cluster: LocalCluster, { nodeId, child, logFrom }: Launched): TallyringError {
  const path = logPath(cluster.data, nodeId);
  const how = child.signalCode ?? `exit code ${child.exitCode}`;
  const last = lastLines(path, 8, logFrom).filter((line) => line !== '');
  const lines = last.length > 0 ? last.map(readableLogLine) : ['(it wrote no log)'];
  return new TallyringError(
    'UNAVAILABLE',
    `node ${nodeId} ended at start (${how}); the last lines of ${path}:\n${lines.map((line) => `  ${line}`).join('\n')}`,
  );
}

/** The text of a line of pino's JSON; other lines as they are. */
export function readableLogLine(line: string): string {
  try {
    const { msg, err } = JSON.parse(line) as { msg?: string; err?: { message?: string } };
    if (typeof msg === 'string')
      return err?.message === undefined || msg.includes(err.message) ? msg : `${msg}: ${err.message}`;
  } catch {
    // Not JSON: a stack trace, say.
  }
  return line;
}

/** Sends a signal to the node's process. False when it does not run. */
export function signalNode(cluster: LocalCluster, nodeId: string, signal: NodeJS.Signals): boolean {
  const pid = livePid(cluster.data, nodeId);
  if (pid === undefined) return false;
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw asTallyringError(error);
  }
}

/** Waits until the nodes' processes are gone; those that are not after `timeoutMs`. */
export async function waitGone(
  cluster: LocalCluster,
  nodeIds: readonly string[],
  timeoutMs: number,
): Promise<string[]> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const left = nodeIds.filter((nodeId) => livePid(cluster.data, nodeId) !== undefined);
    if (left.length === 0 || performance.now() > deadline) return left;
    await sleep(50);
  }
}

/** SIGTERM to all (woken first if paused), SIGKILL to those that do not end. Returns who had to be killed. */
export async function stopNodes(
  cluster: LocalCluster,
  nodeIds: readonly string[],
  timeoutMs: number,
): Promise<string[]> {
  for (const nodeId of nodeIds) {
    signalNode(cluster, nodeId, 'SIGTERM');
    signalNode(cluster, nodeId, 'SIGCONT');
  }
  const stubborn = await waitGone(cluster, nodeIds, timeoutMs);
  for (const nodeId of stubborn) signalNode(cluster, nodeId, 'SIGKILL');
  await waitGone(cluster, stubborn, 5_000);
  return stubborn;
}
