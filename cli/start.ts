import { setTimeout as sleep } from 'node:timers/promises';
import { progressLines, STOP_TIMEOUT_MS, startAll } from './cluster.js';
import { addressOf, type CommonOptions } from './contact.js';
import type { Environment } from './environment.js';
import { EXIT, type ExitCode } from './exit.js';
import { formatBytes, formatCount, formatDuration, table } from './format.js';
import {
  isNewCluster,
  isReady,
  type LocalCluster,
  localCluster,
  type Sight,
  stateOf,
  stopNodes,
  watch,
} from './node-processes.js';
import { livePid } from './state-folder.js';

/** `tallyring start`, which `npm start` runs: the whole cluster in the foreground, until Ctrl-C. */

const LOOK_INTERVAL_MS = 1_000;
/** npm passes Ctrl-C on, so one press may arrive twice; a second press comes later than this. */
const SECOND_PRESS_MS = 1_000;

export async function start(environment: Environment, options: CommonOptions): Promise<ExitCode> {
  const cluster = await localCluster(environment, options);
  const nodeIds = cluster.config.nodes.map(({ id }) => id);
  const before = nodeIds.filter((id) => livePid(cluster.data, id) !== undefined);
  const stop = stopper(environment, cluster, nodeIds);
  const what = isNewCluster(cluster) ? 'new cluster' : 'cluster';
  await environment.stderr.write(
    `${what} ${cluster.config.cluster}: ${nodeIds.join(', ')}; state in ${cluster.data}\n`,
  );
  try {
    await startAll(cluster, progressLines(environment), () => stop.asked);
  } catch (error) {
    // What was running before is not this command's to stop.
    await stopNodes(
      cluster,
      nodeIds.filter((id) => !before.includes(id)),
      STOP_TIMEOUT_MS,
    );
    throw error;
  }
  if (!stop.asked) {
    await environment.stderr.write(whatToTry(cluster));
    await showUntilStopped(environment, cluster, { json: options.json === true, stop });
  }
  await stop.now();
  return EXIT.done;
}

interface Stop {
  readonly asked: boolean;
  /** Resolves when stopping was asked for. */
  readonly when: Promise<void>;
  now(): Promise<void>;
}

function stopper(environment: Environment, cluster: LocalCluster, nodeIds: string[]): Stop {
  let asked = false;
  let askedAt = 0;
  let ask = () => {};
  const when = new Promise<void>((resolve) => {
    ask = resolve;
  });
  environment.onInterrupt(() => {
    const now = performance.now();
    if (!asked) {
      asked = true;
      askedAt = now;
      ask();
    } else if (now - askedAt > SECOND_PRESS_MS) {
      // Whatever was acknowledged is on disk: SIGKILL loses nothing.
      void stopNodes(cluster, nodeIds, 0);
    }
  });
  return {
    get asked() {
      return asked;
    },
    when,
    async now() {
      await environment.stderr.write('stopping all nodes (Ctrl-C again: kill them) …\n');
      const killed = await stopNodes(cluster, nodeIds, STOP_TIMEOUT_MS);
      await environment.stderr.write(
        killed.length === 0 ? 'stopped\n' : `stopped; had to kill ${killed.join(', ')}\n`,
      );
    },
  };
}

function whatToTry(cluster: LocalCluster): string {
  const victim = cluster.config.nodes.at(-1)!.id;
  return `
All nodes are up and normal. In another terminal, try:
  ./bin/tallyring import test/data/changes.jsonl.gz   count 57,820 real events
  ./bin/tallyring inc my-video view --by 5            count one
  ./bin/tallyring get my-video view                   read it
  ./bin/tallyring cluster kill ${victim}                     kill a node (start it again: cluster start ${victim})
  ./bin/tallyring status                              the cluster as nodetool shows it
  ./bin/tallyring verify                              compare all replicas
Ctrl-C stops the cluster.

`;
}

async function showUntilStopped(
  environment: Environment,
  cluster: LocalCluster,
  options: { json: boolean; stop: Stop },
): Promise<void> {
  const { stdout } = environment;
  const { stop } = options;
  const repaint = stdout.isTty && !options.json;
  const watcher = watch(cluster);
  let painted = 0;
  let shown = '';
  try {
    while (!stop.asked) {
      const sights = await watcher.look();
      if (stop.asked) break;
      const states = sights.map((sight) => `${sight.node.id} ${stateOf(sight)}`).join('|');
      if (repaint) {
        // A line that wraps would be two, and the repainting would be off.
        const text = statusTable(sights).replace(/[^\n]+/g, (line) => line.slice(0, stdout.columns - 1));
        await stdout.write(`${painted > 0 ? `\u001b[${painted}A\u001b[J` : ''}${text}`);
        painted = text.split('\n').length - 1;
      } else if (states !== shown) {
        await stdout.write(options.json ? `${JSON.stringify(sights.map(sightJson))}\n` : statusTable(sights));
      }
      shown = states;
      await Promise.race([sleep(LOOK_INTERVAL_MS), stop.when]);
    }
  } finally {
    watcher.close();
  }
}

function sightJson(sight: Sight) {
  return {
    nodeId: sight.node.id,
    address: addressOf(sight.node),
    pid: sight.pid ?? null,
    state: stateOf(sight),
  };
}

export function statusTable(sights: readonly Sight[]): string {
  const head = ['', 'node', 'address', 'pid', 'state', 'entries', 'memory', 'hints', 'up for'];
  const rows = sights.map((sight) => {
    const { node, pid, report } = sight;
    const hints =
      report === undefined
        ? ''
        : formatCount(Object.values(report.hints).reduce((sum, count) => sum + count, 0));
    return [
      isReady(sight) ? '●' : '○',
      node.id,
      addressOf(node),
      pid === undefined ? '-' : String(pid),
      stateOf(sight),
      report === undefined ? '' : formatCount(report.entries),
      report === undefined ? '' : formatBytes(report.memoryBytes),
      hints,
      report === undefined ? '' : formatDuration(report.uptimeMs),
    ];
  });
  return table([head, ...rows], [3, 5, 6, 7, 8]);
}
