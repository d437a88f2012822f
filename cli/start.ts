import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { progressLines, runningNodes, STOP_TIMEOUT_MS, startAll } from './cluster.js';
import { commandLine } from './command-line.js';
import { addressOf, type CommonOptions } from './contact.js';
import type { Environment } from './environment.js';
import { EXIT, type ExitCode } from './exit.js';
import { table } from './format.js';
import {
  isNewCluster,
  type LocalCluster,
  localCluster,
  type Sight,
  stateOf,
  stopNodes,
  watch,
  withoutFigures,
} from './node-processes.js';
import { fittedTable, rowsTaken, statusTable } from './status-table.js';

/**
 * `tallyring start`, which `npm start` runs: the whole cluster in the foreground, until Ctrl-C. Nodes that ran
 * before are only watched: they are not this command's to stop.
 */

const LOOK_INTERVAL_MS = 1_000;
/** npm passes Ctrl-C on, so one press may arrive twice; a second press comes later than this. */
const SECOND_PRESS_MS = 1_000;
/** A node that is started again is gone for a moment. */
const GONE_MS = 5_000;

export async function start(environment: Environment, options: CommonOptions): Promise<ExitCode> {
  const cluster = await localCluster(environment, options);
  const nodeIds = cluster.config.nodes.map(({ id }) => id);
  const before = runningNodes(cluster);
  const own = nodeIds.filter((id) => !before.includes(id));
  const stop = stopper({ environment, cluster, options }, own, before);
  const what = isNewCluster(cluster) ? 'new cluster' : 'cluster';
  await environment.stderr.write(
    `${what} ${cluster.config.cluster}: ${nodeIds.join(', ')}; state in ${cluster.data}\n${attachedText(before, own)}`,
  );
  try {
    await startAll(cluster, progressLines(environment), () => stop.asked);
  } catch (error) {
    await stopNodes(cluster, own, STOP_TIMEOUT_MS);
    throw error;
  }
  if (!stop.asked) {
    await environment.stderr.write(whatToTry(cluster, options, own));
    const end = await showUntilStopped(environment, cluster, { json: options.json === true, stop });
    if (end === 'gone') {
      await environment.stderr.write(
        'all nodes are gone: they were stopped from elsewhere; nothing to show\n',
      );
      return EXIT.done;
    }
  }
  await stop.now();
  return EXIT.done;
}

function attachedText(before: readonly string[], own: readonly string[]): string {
  if (before.length === 0) return '';
  if (own.length === 0) return 'already running; attached, Ctrl-C here only leaves\n';
  return `already running: ${before.join(', ')}; Ctrl-C here leaves ${before.length === 1 ? 'it' : 'them'} running\n`;
}

interface Stop {
  readonly asked: boolean;
  /** Resolves when stopping was asked for. */
  readonly when: Promise<void>;
  now(): Promise<void>;
}

/** Stops `own` at an interruption, and leaves the others. */
function stopper(
  what: { environment: Environment; cluster: LocalCluster; options: CommonOptions },
  own: readonly string[],
  others: readonly string[],
): Stop {
  const { environment, cluster, options } = what;
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
      void stopNodes(cluster, own, 0);
    }
  });
  return {
    get asked() {
      return asked;
    },
    when,
    async now() {
      const { stderr } = environment;
      // Behind the ^C that a terminal shows.
      if (stderr.isTty) await stderr.write('\n');
      const down = commandLine(environment, ['cluster', 'down'], options);
      const left = others.length > 0 ? `left ${others.join(', ')} running; stop with ${down}\n` : '';
      if (own.length === 0) {
        await stderr.write(left);
        return;
      }
      const all = others.length > 0 ? own.join(', ') : 'all nodes';
      await stderr.write(`stopping ${all} (Ctrl-C again: kill them) …\n`);
      const killed = await stopNodes(cluster, own, STOP_TIMEOUT_MS);
      await stderr.write(
        `${killed.length === 0 ? 'stopped' : `stopped; had to kill ${killed.join(', ')}`}\n${left}`,
      );
    },
  };
}

const SAMPLE = join('test', 'data', 'changes.jsonl.gz');

/** What to type next, as it works from the working folder. */
export function whatToTry(cluster: LocalCluster, options: CommonOptions, own: readonly string[]): string {
  const { environment } = cluster;
  const { config, data } = options;
  // Only verbs that deal with processes know a state folder.
  const asking = (...words: string[]) => commandLine(environment, words, { config });
  const local = (...words: string[]) => commandLine(environment, words, { config, data });
  const victim = cluster.config.nodes.at(-1)!.id;
  const hasSample = existsSync(join(environment.cwd, SAMPLE));
  const hints = [
    hasSample
      ? [asking('import', SAMPLE), 'count 57,820 real events']
      : [`${asking('import')} FILE`, 'count the events of a .jsonl or .jsonl.gz file'],
    [asking('inc', 'my-video', 'view', '--by', '5'), 'count one event of value 5'],
    [asking('get', 'my-video', 'view'), 'read it'],
    [local('cluster', 'kill', victim), `kill a node (start it again: cluster start ${victim})`],
    [asking('status'), 'the cluster as nodetool shows it'],
    [asking('verify'), 'compare all replicas'],
  ];
  const lines = table(hints.map(([command, what]) => [`  ${command}`, what!]));
  const end = own.length === 0 ? 'Ctrl-C here only leaves.' : 'Ctrl-C stops the cluster.';
  return `\nAll nodes are up and normal. In another terminal, try:\n${lines}${end}\n\n`;
}

/** `gone`: no node has been running for some seconds. */
async function showUntilStopped(
  environment: Environment,
  cluster: LocalCluster,
  options: { json: boolean; stop: Stop },
): Promise<'stopped' | 'gone'> {
  const { stdout } = environment;
  const { stop } = options;
  const repaint = stdout.isTty && !options.json;
  const watcher = watch(cluster);
  let painted = '';
  let shown = '';
  let goneSince: number | undefined;
  try {
    while (!stop.asked) {
      const sights = await watcher.look();
      if (stop.asked) break;
      const states = sights.map((sight) => `${sight.node.id} ${withoutFigures(stateOf(sight))}`).join('|');
      if (repaint) {
        // The terminal may have become narrower since: what was painted takes more rows then.
        const up = rowsTaken(painted, stdout.columns);
        painted = fittedTable(sights, stdout.columns);
        await stdout.write(`${up > 0 ? `\u001b[${up}A\u001b[J` : ''}${painted}`);
      } else if (states !== shown) {
        await stdout.write(options.json ? `${JSON.stringify(sights.map(sightJson))}\n` : statusTable(sights));
      }
      shown = states;
      const isGone = sights.every(({ pid }) => pid === undefined);
      goneSince = isGone ? (goneSince ?? performance.now()) : undefined;
      if (goneSince !== undefined && performance.now() - goneSince >= GONE_MS) return 'gone';
      await Promise.race([sleep(LOOK_INTERVAL_MS), stop.when]);
    }
    return 'stopped';
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
