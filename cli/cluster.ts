import { asTallyringError, TallyringError } from '../proto/errors.js';
import { commandLine } from './command-line.js';
import { addressOf, type CommonOptions } from './contact.js';
import type { Environment } from './environment.js';
import { EXIT, type ExitCode } from './exit.js';
import {
  isNewCluster,
  type LocalCluster,
  launch,
  localCluster,
  partsOf,
  type Sight,
  stateOf,
  stopParts,
  watch,
  withoutFigures,
} from './node-processes.js';
import { checkPortsFree } from './ports-free.js';
import { waitReady } from './readiness.js';
import { type ServiceSight, serviceState, stateKind } from './service-sights.js';
import { startServices } from './services.js';
import { livePid } from './state-folder.js';

/** `tallyring cluster …`: nodes and services of this machine, by the pid files of the state folder. */

export const START_TIMEOUT_MS = 60_000;
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

export interface ProgressLines {
  nodes(sights: readonly Sight[]): void;
  services(sights: readonly ServiceSight[]): void;
}

/** A line for each change. */
export function progressLines(environment: Environment): ProgressLines {
  const known = new Map<string, string>();
  function tell(id: string, address: string, state: string, kind: string): void {
    if (known.get(id) === kind) return;
    known.set(id, kind);
    void environment.stderr.write(`${id}  ${address}  ${state}\n`);
  }
  return {
    nodes: (sights) => {
      for (const sight of sights) {
        const state = stateOf(sight);
        tell(sight.node.id, addressOf(sight.node), state, withoutFigures(state));
      }
    },
    services: (sights) => {
      for (const sight of sights) {
        tell(sight.part.id, addressOf(sight.part), serviceState(sight), stateKind(sight));
      }
    },
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
  const running = runningParts(cluster);
  await checkPortsFree(partsOf(cluster).filter(({ id }) => !running.includes(id)));
  const progress = progressLines(environment);
  const up = async () => ({
    nodes: await startAll(cluster, progress.nodes),
    services: await startServices(cluster, cluster.services, { progress: progress.services }),
  });
  const { nodes, services } = await up().catch((error: unknown) => {
    throw withRunning(cluster, options, error);
  });
  const down = commandLine(environment, ['cluster', 'down'], options);
  const serviceIds = services.map(({ part }) => part.id).join(', ');
  const also = services.length === 0 ? '' : `, and ${serviceIds}`;
  await say(environment, options, {
    cluster: cluster.config.cluster,
    data: cluster.data,
    nodes: nodes.map(({ node, pid }) => ({
      nodeId: node.id,
      address: addressOf(node),
      pid,
      status: 'normal',
    })),
    services: services.map(({ part, pid }) => ({ name: part.id, address: addressOf(part), pid })),
    text: `cluster ${cluster.config.cluster}: ${nodes.length} nodes up and normal${also}; stop them with ${down}`,
  });
  return EXIT.done;
}

/** Says which nodes run although the start failed: nobody else would. */
function withRunning(cluster: LocalCluster, options: CommonOptions, thrown: unknown): TallyringError {
  const error = asTallyringError(thrown);
  const running = runningParts(cluster);
  if (running.length === 0) return error;
  const { code, message, mayHaveApplied } = error;
  const runs = running.length === 1 ? 'runs' : 'run';
  const down = commandLine(cluster.environment, ['cluster', 'down'], options);
  const text = `${message}\n${running.join(', ')} ${runs} nevertheless; stop with ${down}`;
  return new TallyringError(code, text, { cause: error, mayHaveApplied });
}

export function runningParts(cluster: LocalCluster): string[] {
  return partsOf(cluster)
    .map(({ id }) => id)
    .filter((id) => livePid(cluster.data, id) !== undefined);
}

export async function clusterDown(environment: Environment, options: CommonOptions): Promise<ExitCode> {
  const cluster = await localCluster(environment, options);
  const running = runningParts(cluster);
  const killed = await stopParts(cluster, running, STOP_TIMEOUT_MS);
  const how = killed.length > 0 ? ` (${killed.join(', ')} did not end by itself and was killed)` : '';
  const text =
    running.length === 0
      ? `no node or service of ${cluster.data} runs`
      : `stopped ${running.join(', ')}${how}`;
  await say(environment, options, { stopped: running, killed, text });
  return EXIT.done;
}
