import type { NodeConfig } from '../node/config.js';
import type { NodeReport } from '../proto/calls.js';
import { asTallyringError, TallyringError } from '../proto/errors.js';
import { STOP_TIMEOUT_MS, say } from './cluster.js';
import { startOne } from './cluster-part.js';
import { commandLine } from './command-line.js';
import { addressOf, type CommonOptions } from './contact.js';
import type { Environment } from './environment.js';
import { EXIT, type ExitCode } from './exit.js';
import { formatDuration, plural } from './format.js';
import {
  type LocalCluster,
  localCluster,
  nodeOf,
  type Reporter,
  reporter,
  stateOf,
  stopParts,
} from './node-processes.js';
import { lastWords } from './readiness.js';
import { whyNotRebuild } from './rebuild-sources.js';
import { watchRebuild } from './rebuild-watch.js';
import { lastAside, livePid, nodeFolder, setAside } from './state-folder.js';

/**
 * `tallyring cluster rebuild NODE`: sets the node's store aside, whatever is wrong with it, and starts the node
 * without one: it merges what the others hold. Nothing is ever deleted, and after an interruption the same command
 * goes on: a node that is recovering already is only watched.
 */

/** A stall is longer than the one phase in which nothing is to be seen, the wait for old requests. */
const STALL_MS = 60_000;

/** The node's process on this machine; tests put their own in its place. */
export interface NodeProcess {
  pid(): number | undefined;
  stop(): Promise<void>;
  /** Resolves when the node answers. */
  start(): Promise<void>;
}

function realProcess(cluster: LocalCluster, nodeId: string): NodeProcess {
  return {
    pid: () => livePid(cluster.data, nodeId),
    stop: async () => void (await stopParts(cluster, [nodeId], STOP_TIMEOUT_MS)),
    start: async () => void (await startOne(cluster, nodeId, { progress() {}, isAcquainted: () => true })),
  };
}

interface Rebuild {
  environment: Environment;
  options: CommonOptions & { wait?: boolean };
  cluster: LocalCluster;
  node: NodeConfig;
  process: NodeProcess;
  reports: Reporter;
  startMs: number;
  isInterrupted: boolean;
}

export async function clusterRebuild(
  environment: Environment,
  nodeId: string,
  options: CommonOptions & { wait?: boolean },
  processOf: (cluster: LocalCluster, nodeId: string) => NodeProcess = realProcess,
): Promise<ExitCode> {
  const cluster = await localCluster(environment, options);
  const rebuild: Rebuild = {
    environment,
    options,
    cluster,
    node: nodeOf(cluster.config, nodeId),
    process: processOf(cluster, nodeId),
    reports: reporter(environment),
    startMs: environment.nowMs(),
    isInterrupted: false,
  };
  const stopListening = environment.onInterrupt(() => {
    rebuild.isInterrupted = true;
  });
  try {
    return await run(rebuild);
  } finally {
    stopListening();
    rebuild.reports.close();
  }
}

async function run(rebuild: Rebuild): Promise<ExitCode> {
  const { node, cluster, environment } = rebuild;
  const report = await rebuild.reports.ask(node);
  if (report?.status === 'recovering' && report.storeState === 'ok') {
    const kill = commandLine(environment, ['cluster', 'kill', node.id], rebuild.options);
    await environment.stderr.write(
      `${node.id} is recovering already: this only watches (to begin anew with an empty store: first ${kill})\n`,
    );
    return watchToEnd(rebuild, lastAside(cluster.data, node.id));
  }
  await refuseUnlessPossible(rebuild, report);
  if (rebuild.isInterrupted) return EXIT.partly; // nothing was changed
  const aside = await startEmpty(rebuild);
  if (rebuild.options.wait === false) return leave(rebuild, aside, EXIT.done);
  return watchToEnd(rebuild, aside);
}

async function refuseUnlessPossible(rebuild: Rebuild, report: NodeReport | undefined): Promise<void> {
  const { node, cluster, process } = rebuild;
  if (report !== undefined && process.pid() === undefined) {
    throw new TallyringError(
      'FAILED_PRECONDITION',
      `${node.id} answers at ${addressOf(node)} but is no process of ${cluster.data}: run this on its machine, \
with its state folder (--data)`,
    );
  }
  const others = othersOf(rebuild).map(async (other) => ({
    nodeId: other.id,
    address: addressOf(other),
    report: await rebuild.reports.ask(other),
  }));
  const problem = whyNotRebuild(node.id, await Promise.all(others));
  if (problem === undefined) return;
  throw new TallyringError(
    'FAILED_PRECONDITION',
    `${node.id} cannot be rebuilt now, nothing was changed: ${problem}`,
  );
}

function othersOf({ cluster, node }: Rebuild): NodeConfig[] {
  return cluster.config.nodes.filter(({ id }) => id !== node.id);
}

/** Stops the node, moves its store, starts it. Gives where the store is now; undefined when there was none. */
async function startEmpty(rebuild: Rebuild): Promise<string | undefined> {
  const { environment, cluster, node, process, options } = rebuild;
  if (process.pid() !== undefined) await environment.stderr.write(`stopping ${node.id} …\n`);
  // One that does not run too: nobody may start it while its store is moved.
  await process.stop();
  const pid = process.pid();
  if (pid !== undefined) {
    throw new TallyringError(
      'UNAVAILABLE',
      `${node.id} does not end (process ${pid}); its store was not moved`,
    );
  }
  const start = commandLine(environment, ['cluster', 'start', node.id], options);
  const moved = moveStore(rebuild, start);
  const aside = moved ?? lastAside(cluster.data, node.id);
  await environment.stderr.write(
    moved === undefined
      ? `${node.id} has no store in ${cluster.data}: nothing to set aside\n`
      : `the store of ${node.id} is set aside in ${moved}; delete it once ${node.id} is normal\n`,
  );
  try {
    await process.start();
  } catch (error) {
    const { code, message } = asTallyringError(error);
    const text = `${message}\nIts store stays set aside; when the cause is gone: ${start}`;
    throw new TallyringError(code, text, { cause: error });
  }
  return aside;
}

function moveStore({ cluster, node }: Rebuild, start: string): string | undefined {
  try {
    return setAside(cluster.data, node.id);
  } catch (error) {
    throw new TallyringError(
      'FAILED_PRECONDITION',
      `${nodeFolder(cluster.data, node.id)} cannot be moved (${(error as Error).message}); ${node.id} is stopped, \
its store is untouched; start it with ${start}`,
      { cause: error },
    );
  }
}

async function watchToEnd(rebuild: Rebuild, aside: string | undefined): Promise<ExitCode> {
  const { environment, options, cluster, node, process, reports } = rebuild;
  const report = await watchRebuild({
    environment,
    options,
    nodeId: node.id,
    stallMs: STALL_MS + cluster.config.limits.maxRequestMs,
    interrupted: () => rebuild.isInterrupted,
    lastWords: () => lastWords(cluster, node.id),
    look: async () => {
      const [own, ...others] = await Promise.all([node, ...othersOf(rebuild)].map((one) => reports.ask(one)));
      return { own: { node, pid: process.pid(), report: own, answered: true }, others };
    },
  });
  if (report === undefined) return leave(rebuild, aside, EXIT.partly);
  const elapsedMs = environment.nowMs() - rebuild.startMs;
  const { entries } = report;
  const text = `${node.id} is normal and holds ${plural(entries, 'entry', 'entries')}, after ${formatDuration(elapsedMs)}`;
  await say(environment, options, {
    nodeId: node.id,
    status: 'normal',
    entries,
    elapsedMs,
    aside: aside ?? null,
    text: aside === undefined ? text : `${text}; its former store, ${aside}, may be deleted`,
  });
  return EXIT.done;
}

/** The node goes on without anybody who watches. */
async function leave(rebuild: Rebuild, aside: string | undefined, code: ExitCode): Promise<ExitCode> {
  const { environment, options, node, process, reports } = rebuild;
  const report = await reports.ask(node);
  const state = stateOf({ node, pid: process.pid(), report, answered: true });
  const watch = commandLine(environment, ['cluster', 'rebuild', node.id], options);
  const former =
    aside === undefined ? '' : `; its former store, ${aside}, may be deleted once ${node.id} is normal`;
  await say(environment, options, {
    nodeId: node.id,
    status: report?.status ?? null,
    entries: report?.entries ?? null,
    aside: aside ?? null,
    text: `${node.id} goes on by itself (${state}); watch it with ${watch}${former}`,
  });
  return code;
}
