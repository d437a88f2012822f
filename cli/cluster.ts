import { constants } from 'node:os';
import { asTallyringError, TallyringError } from '../proto/errors.js';
import { commandLine } from './command-line.js';
import { addressOf, type CommonOptions } from './contact.js';
import type { Environment } from './environment.js';
import { EXIT, type ExitCode, usage } from './exit.js';
import {
  isNewCluster,
  type LocalCluster,
  launch,
  localCluster,
  nodeOf,
  type Sight,
  signalNode,
  stateOf,
  stopNodes,
  waitGone,
  watch,
  withoutFigures,
} from './node-processes.js';
import { isAcquainted, waitReady } from './readiness.js';
import { livePid } from './state-folder.js';

/** `tallyring cluster …`: processes of this machine, by the pid files of the state folder. */

const START_TIMEOUT_MS = 60_000;
export const STOP_TIMEOUT_MS = 20_000;

export async function say(
  environment: Environment,
  options: CommonOptions,
  answer: { text: string } & Record<string, unknown>,
): Promise<void> {
  const { text, ...fields } = answer;
  await environment.stdout.write(options.json ? `${JSON.stringify(fields)}\n` : `${text}\n`);
}

/** Starts the nodes that do not run, and waits until all of them are up and normal and know so of each other. */
export async function startAll(
  cluster: LocalCluster,
  progress: (sights: readonly Sight[]) => void,
  interrupted?: () => boolean,
): Promise<Sight[]> {
  const newCluster = isNewCluster(cluster);
  const missing = cluster.config.nodes.filter(({ id }) => livePid(cluster.data, id) === undefined);
  const launched = missing.map(({ id }) => launch(cluster, id, { newCluster }));
  const watcher = watch(cluster);
  try {
    return await waitReady(watcher, cluster, {
      launched,
      timeoutMs: START_TIMEOUT_MS,
      progress,
      ...(interrupted && { interrupted }),
    });
  } finally {
    watcher.close();
  }
}

export function progressLines(environment: Environment): (sights: readonly Sight[]) => void {
  const known = new Map<string, string>();
  return (sights) => {
    for (const sight of sights) {
      const state = stateOf(sight);
      const kind = withoutFigures(state);
      if (known.get(sight.node.id) === kind) continue;
      known.set(sight.node.id, kind);
      void environment.stderr.write(`${sight.node.id}  ${addressOf(sight.node)}  ${state}\n`);
    }
  };
}

export async function clusterUp(
  environment: Environment,
  options: CommonOptions & { detach?: boolean },
): Promise<ExitCode> {
  if (options.detach !== true) {
    const { start } = await import('./start.js');
    return start(environment, options);
  }
  const cluster = await localCluster(environment, options);
  const sights = await startAll(cluster, progressLines(environment)).catch((error: unknown) => {
    throw withRunning(cluster, options, error);
  });
  const nodes = sights.map(({ node, pid }) => ({
    nodeId: node.id,
    address: addressOf(node),
    pid,
    status: 'normal',
  }));
  await say(environment, options, {
    cluster: cluster.config.cluster,
    data: cluster.data,
    nodes,
    text: `cluster ${cluster.config.cluster}: ${nodes.length} nodes up and normal; stop them with ${commandLine(environment, ['cluster', 'down'], options)}`,
  });
  return EXIT.done;
}

/** Says which nodes run although the start failed: nobody else would. */
function withRunning(cluster: LocalCluster, options: CommonOptions, thrown: unknown): TallyringError {
  const error = asTallyringError(thrown);
  const running = runningNodes(cluster);
  if (running.length === 0) return error;
  const { code, message, mayHaveApplied } = error;
  const runs = running.length === 1 ? 'runs' : 'run';
  const down = commandLine(cluster.environment, ['cluster', 'down'], options);
  const text = `${message}\n${running.join(', ')} ${runs} nevertheless; stop with ${down}`;
  return new TallyringError(code, text, { cause: error, mayHaveApplied });
}

export function runningNodes(cluster: LocalCluster): string[] {
  return cluster.config.nodes.map(({ id }) => id).filter((id) => livePid(cluster.data, id) !== undefined);
}

export async function clusterDown(environment: Environment, options: CommonOptions): Promise<ExitCode> {
  const cluster = await localCluster(environment, options);
  const running = runningNodes(cluster);
  const killed = await stopNodes(cluster, running, STOP_TIMEOUT_MS);
  const how = killed.length > 0 ? ` (${killed.join(', ')} did not end by itself and was killed)` : '';
  const text =
    running.length === 0 ? `no node of ${cluster.data} runs` : `stopped ${running.join(', ')}${how}`;
  await say(environment, options, { stopped: running, killed, text });
  return EXIT.done;
}

export async function clusterKill(
  environment: Environment,
  nodeId: string,
  options: CommonOptions & { signal?: string },
): Promise<ExitCode> {
  const signal = parseSignal(options.signal ?? 'KILL');
  const cluster = await localCluster(environment, options);
  nodeOf(cluster.config, nodeId);
  if (!signalNode(cluster, nodeId, signal)) return notRunning(environment, options, nodeId);
  const ends = signal === 'SIGKILL' || signal === 'SIGTERM' || signal === 'SIGINT';
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
  nodeOf(cluster.config, nodeId);
  const running = livePid(cluster.data, nodeId);
  if (running !== undefined) {
    await say(environment, options, {
      nodeId,
      pid: running,
      text: `${nodeId} already runs as process ${running}`,
    });
    return EXIT.done;
  }
  const progress = progressLines(environment);
  const sight = await startOne(cluster, nodeId, {
    progress: (own) => progress([own]),
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
  nodeOf(cluster.config, nodeId);
  if (!signalNode(cluster, nodeId, options.resume ? 'SIGCONT' : 'SIGSTOP'))
    return notRunning(environment, options, nodeId);
  const text = options.resume
    ? `${nodeId} goes on`
    : `${nodeId} is paused; wake it with ${commandLine(environment, ['cluster', 'resume', nodeId], options)}`;
  await say(environment, options, { nodeId, paused: !options.resume, text });
  return EXIT.done;
}
