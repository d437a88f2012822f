import { setTimeout as sleep } from 'node:timers/promises';
import type { NodeReport } from '../proto/calls.js';
import { TallyringError } from '../proto/errors.js';
import {
  isReady,
  type Launched,
  type LocalCluster,
  type Sight,
  stateOf,
  type Watcher,
} from './node-processes.js';
import { lastLines, logPath } from './state-folder.js';

/** When nodes that were started are up, normal, and known to each other. */

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
      if (exitCode !== null || signalCode !== null) throw diedAtStart(cluster, launched);
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

export function diedAtStart(cluster: LocalCluster, { id, child, logFrom }: Launched): TallyringError {
  const how = child.signalCode ?? `exit code ${child.exitCode}`;
  return new TallyringError(
    'UNAVAILABLE',
    `${id} ended at start (${how}); ${lastWords(cluster, id, logFrom)}`,
  );
}

/** What a node or service logged last, from byte `logFrom` on, for people. */
export function lastWords(cluster: LocalCluster, nodeId: string, logFrom = 0): string {
  const path = logPath(cluster.data, nodeId);
  const last = lastLines(path, 8, logFrom).filter((line) => line !== '');
  const lines = last.length > 0 ? last.map(readableLogLine) : ['(it wrote no log)'];
  return `the last lines of ${path}:\n${lines.map((line) => `  ${line}`).join('\n')}`;
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
