import { setTimeout as sleep } from 'node:timers/promises';
import { TallyringError } from '../proto/errors.js';
import { type Launched, type LocalCluster, launch } from './node-processes.js';
import type { Part } from './parts.js';
import { diedAtStart } from './readiness.js';
import { type ServiceSight, type ServiceWatcher, serviceState, watchServices } from './service-sights.js';
import { livePid } from './state-folder.js';

/** Starting the pipeline's services: the log first, then those that need it. */

const START_TIMEOUT_MS = 60_000;
const LOOK_INTERVAL_MS = 100;
/** What an instance died with is its own again after some seconds; it serves without, so no longer than that. */
const WORKING_TIMEOUT_MS = 20_000;

export interface StartServices {
  /** Told at every change. */
  progress(sights: readonly ServiceSight[]): void;
  interrupted?(): boolean;
}

/**
 * Starts those of these services that do not run, and waits until all of them are well and at their work. Throws
 * UNAVAILABLE with the last lines of its log when one ends, and when the time is over.
 */
export async function startServices(
  cluster: LocalCluster,
  parts: readonly Part[],
  options: StartServices,
): Promise<ServiceSight[]> {
  const watcher = watchServices(cluster, parts);
  const steps = [parts.filter(({ kind }) => kind === 'log'), parts.filter(({ kind }) => kind !== 'log')];
  for (const step of steps.filter(({ length }) => length > 0)) {
    if (options.interrupted?.() === true) break;
    const missing = step.filter(({ id }) => livePid(cluster.data, id) === undefined);
    const launched = missing.map(({ id }) => launch(cluster, id));
    await waitWell(cluster, watcher, { ...options, ids: step.map(({ id }) => id), launched });
  }
  return watcher.look();
}

async function waitWell(
  cluster: LocalCluster,
  watcher: ServiceWatcher,
  wait: StartServices & { ids: readonly string[]; launched: readonly Launched[] },
): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  let shown = '';
  let wellSince: number | undefined;
  for (;;) {
    const sights = (await watcher.look()).filter(({ part }) => wait.ids.includes(part.id));
    const states = sights.map(serviceState).join('|');
    if (states !== shown) wait.progress(sights);
    shown = states;
    if (wait.interrupted?.() === true) return;
    wellSince = sights.every(({ health }) => health?.ok) ? (wellSince ?? performance.now()) : undefined;
    if (wellSince !== undefined) {
      const isLate = performance.now() - wellSince > WORKING_TIMEOUT_MS;
      if (isLate || sights.every(({ health }) => health?.working)) return;
    }
    for (const launched of wait.launched) {
      const { exitCode, signalCode } = launched.child;
      if (exitCode !== null || signalCode !== null) throw diedAtStart(cluster, launched);
    }
    if (wellSince === undefined && performance.now() > deadline) {
      const late = sights.filter(({ health }) => health?.ok !== true);
      const text = late.map((sight) => `${sight.part.id}: ${serviceState(sight)}`).join('; ');
      throw new TallyringError(
        'UNAVAILABLE',
        `not up and well after ${START_TIMEOUT_MS / 1000} s: ${text}; logs are in ${cluster.data}/NAME/log`,
      );
    }
    await sleep(LOOK_INTERVAL_MS);
  }
}
