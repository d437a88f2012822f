import { progressLines, runningParts, STOP_TIMEOUT_MS, startAll } from './cluster.js';
import { commandLine } from './command-line.js';
import type { CommonOptions } from './contact.js';
import type { Environment } from './environment.js';
import { EXIT, type ExitCode } from './exit.js';
import {
  isNewCluster,
  type LocalCluster,
  launch,
  localCluster,
  partsOf,
  stopParts,
} from './node-processes.js';
import { checkPortsFree } from './ports-free.js';
import { readableLogLine } from './readiness.js';
import { startServices } from './services.js';
import { showUntilStopped } from './start-show.js';
import { isHeld, lastLines, livePid, logPath } from './state-folder.js';
import { Supervisor } from './supervisor.js';
import { whatToTry } from './what-to-try.js';

/**
 * `tallyring start`, which `npm start` runs: nodes and services in the foreground, until Ctrl-C. Those that ran
 * before are only watched: they are not this command's to stop or to start again.
 */

/** npm passes Ctrl-C on, so one press may arrive twice; a second press comes later than this. */
const SECOND_PRESS_MS = 1_000;

export async function start(environment: Environment, options: CommonOptions): Promise<ExitCode> {
  const cluster = await localCluster(environment, options);
  const ids = partsOf(cluster).map(({ id }) => id);
  const before = runningParts(cluster);
  const own = ids.filter((id) => !before.includes(id));
  const stop = stopper({ environment, cluster, options }, own, before);
  const what = isNewCluster(cluster) ? 'new cluster' : 'cluster';
  await environment.stderr.write(
    `${what} ${cluster.config.cluster}: ${ids.join(', ')}; state in ${cluster.data}\n${attachedText(before, own)}`,
  );
  await checkPortsFree(partsOf(cluster).filter(({ id }) => own.includes(id)));
  try {
    const progress = progressLines(environment);
    const interrupted = () => stop.asked;
    await startAll(cluster, progress.nodes, interrupted);
    if (!stop.asked)
      await startServices(cluster, cluster.services, { progress: progress.services, interrupted });
  } catch (error) {
    await stopParts(cluster, own, STOP_TIMEOUT_MS);
    throw error;
  }
  if (!stop.asked) {
    await environment.stderr.write(whatToTry(cluster, options, own));
    const supervisor = supervise(cluster, own);
    const end = await showUntilStopped(environment, cluster, {
      json: options.json === true,
      stop,
      onLook: () => supervisor.look(performance.now()),
      news: supervisor.news,
    });
    if (end === 'gone') {
      await environment.stderr.write(
        'all nodes are gone: they were stopped from elsewhere; nothing to show\n',
      );
      await stopParts(cluster, own, STOP_TIMEOUT_MS);
      return EXIT.done;
    }
  }
  await stop.now();
  return EXIT.done;
}

/** Looks after those that were started here; what it has to say waits in `news`, between two paintings. */
function supervise(cluster: LocalCluster, own: readonly string[]) {
  const { data } = cluster;
  const news: string[] = [];
  const supervisor = new Supervisor({
    ids: own,
    isAlive: (id) => livePid(data, id) !== undefined,
    isHeld: (id) => isHeld(data, id),
    launch: (id) => void launch(cluster, id),
    lastLine: (id) => readableLogLine(lastLines(logPath(data, id), 1)[0] ?? ''),
    say: (text) => news.push(text),
  });
  return { news, look: (nowMs: number) => supervisor.look(nowMs) };
}

function attachedText(before: readonly string[], own: readonly string[]): string {
  if (before.length === 0) return '';
  if (own.length === 0) return 'already running; attached, Ctrl-C here only leaves\n';
  return `already running: ${before.join(', ')}; Ctrl-C here leaves ${before.length === 1 ? 'it' : 'them'} running\n`;
}

export interface Stop {
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
      void stopParts(cluster, own, 0);
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
      const all = others.length > 0 ? own.join(', ') : 'all';
      await stderr.write(`stopping ${all} (Ctrl-C again: kill them) …\n`);
      const killed = await stopParts(cluster, own, STOP_TIMEOUT_MS);
      await stderr.write(
        `${killed.length === 0 ? 'stopped' : `stopped; had to kill ${killed.join(', ')}`}\n${left}`,
      );
    },
  };
}
