import { constants } from 'node:os';
import { progressLines, START_TIMEOUT_MS, STOP_TIMEOUT_MS, say } from './cluster.js';
import { commandLine } from './command-line.js';
import type { CommonOptions } from './contact.js';
import type { Environment } from './environment.js';
import { EXIT, type ExitCode, usage } from './exit.js';
import {
  type LocalCluster,
  launch,
  localCluster,
  partsOf,
  type Sight,
  signalPart,
  stateOf,
  waitGone,
  watch,
} from './node-processes.js';
import { type Part, partOf } from './parts.js';
import { checkPortsFree } from './ports-free.js';
import { isAcquainted, waitReady } from './readiness.js';
import { serviceState } from './service-sights.js';
import { startServices } from './services.js';
import { hold, livePid } from './state-folder.js';

/** `tallyring cluster kill`, `start`, `pause` and `resume`: one node or service of this machine. */

export async function clusterKill(
  environment: Environment,
  nodeId: string,
  options: CommonOptions & { signal?: string },
): Promise<ExitCode> {
  const signal = parseSignal(options.signal ?? 'KILL');
  const cluster = await localCluster(environment, options);
  partOf(partsOf(cluster), nodeId);
  const ends = signal === 'SIGKILL' || signal === 'SIGTERM' || signal === 'SIGINT';
  if (ends) hold(cluster.data, nodeId);
  if (!signalPart(cluster, nodeId, signal)) return notRunning(environment, options, nodeId);
  const left = ends ? await waitGone(cluster, [nodeId], STOP_TIMEOUT_MS) : [];
  const text =
    left.length > 0
      ? `${nodeId} got ${signal} but still runs after ${STOP_TIMEOUT_MS / 1000} s`
      : `${nodeId} got ${signal}`;
  await say(environment, options, { nodeId, signal, running: left.length > 0 || !ends, text });
  return left.length > 0 ? EXIT.partly : EXIT.done;
}

/** KILL, SIGKILL or 9. Throws INVALID_ARGUMENT. */
export function parseSignal(text: string): NodeJS.Signals {
  const { signals } = constants;
  const upper = text.toUpperCase();
  const name = Object.keys(signals).find(
    (known) =>
      known === upper || known === `SIG${upper}` || String(signals[known as NodeJS.Signals]) === upper,
  );
  if (name === undefined)
    throw usage(`unknown signal ${JSON.stringify(text)}; for example KILL, TERM, STOP, CONT`);
  return name as NodeJS.Signals;
}

async function notRunning(
  environment: Environment,
  options: CommonOptions,
  nodeId: string,
): Promise<ExitCode> {
  await say(environment, options, {
    nodeId,
    running: false,
    text: `${nodeId} does not run; start it with ${commandLine(environment, ['cluster', 'start', nodeId], options)}`,
  });
  return EXIT.unavailable;
}

export async function clusterStart(
  environment: Environment,
  nodeId: string,
  options: CommonOptions & { acceptLoss?: boolean },
): Promise<ExitCode> {
  const cluster = await localCluster(environment, options);
  const part = partOf(partsOf(cluster), nodeId);
  const running = livePid(cluster.data, nodeId);
  if (running !== undefined) {
    await say(environment, options, {
      nodeId,
      pid: running,
      text: `${nodeId} already runs as process ${running}`,
    });
    return EXIT.done;
  }
  await checkPortsFree([part]);
  if (part.kind !== 'node') return serviceStart(cluster, part, options);
  const progress = progressLines(environment);
  const sight = await startOne(cluster, nodeId, {
    progress: (own) => progress.nodes([own]),
    isAcquainted: (all) => isAcquainted(all, nodeId),
    acceptLoss: options.acceptLoss === true,
  });
  const status = stateOf(sight);
  await say(environment, options, {
    nodeId,
    pid: sight.pid,
    status,
    text: `${nodeId} is up (${status}) as process ${sight.pid}`,
  });
  return EXIT.done;
}

async function serviceStart(cluster: LocalCluster, part: Part, options: CommonOptions): Promise<ExitCode> {
  const { environment } = cluster;
  const progress = progressLines(environment).services;
  const [sight] = await startServices(cluster, [part], { progress });
  const state = serviceState(sight!);
  await say(environment, options, {
    name: part.id,
    pid: sight!.pid,
    status: state,
    text: `${part.id} is up (${state}) as process ${sight!.pid}`,
  });
  return EXIT.done;
}

/** Starts a node that does not run, and waits until it answers. */
export async function startOne(
  cluster: LocalCluster,
  nodeId: string,
  wait: { progress(own: Sight): void; isAcquainted(all: readonly Sight[]): boolean; acceptLoss?: boolean },
): Promise<Sight> {
  // Never a new cluster: one node alone cannot know that.
  const launched = launch(cluster, nodeId, { acceptLoss: wait.acceptLoss === true });
  const watcher = watch(cluster);
  const own = (sights: readonly Sight[]) => sights.find(({ node }) => node.id === nodeId)!;
  try {
    const sights = await waitReady(watcher, cluster, {
      launched: [launched],
      timeoutMs: START_TIMEOUT_MS,
      progress: (all) => wait.progress(own(all)),
      // A node that waits for others is up as soon as it answers; its status says the rest.
      isEnough: (all) => (own(all).report?.storeState ?? 'opening') !== 'opening',
      isAcquainted: wait.isAcquainted,
    });
    return own(sights);
  } finally {
    watcher.close();
  }
}

export async function clusterSignal(
  environment: Environment,
  nodeId: string,
  options: CommonOptions & { resume: boolean },
): Promise<ExitCode> {
  const cluster = await localCluster(environment, options);
  partOf(partsOf(cluster), nodeId);
  if (!signalPart(cluster, nodeId, options.resume ? 'SIGCONT' : 'SIGSTOP'))
    return notRunning(environment, options, nodeId);
  const text = options.resume
    ? `${nodeId} goes on`
    : `${nodeId} is paused; wake it with ${commandLine(environment, ['cluster', 'resume', nodeId], options)}`;
  await say(environment, options, { nodeId, paused: !options.resume, text });
  return EXIT.done;
}
