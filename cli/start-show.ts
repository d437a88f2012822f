import { setTimeout as sleep } from 'node:timers/promises';
import { addressOf } from './contact.js';
import type { Environment } from './environment.js';
import { type LocalCluster, type Sight, stateOf, watch, withoutFigures } from './node-processes.js';
import { type ServiceSight, serviceState, stateKind, watchServices } from './service-sights.js';
import { fittedServices, servicesTable } from './services-table.js';
import { fittedTable, rowsTaken, statusTable } from './status-table.js';

/** The live status of `start`: nodes and services, painted over and over on a terminal, a line of JSON or a table at each change elsewhere. */

const LOOK_INTERVAL_MS = 1_000;
/** A node that is started again is gone for a moment. */
const GONE_MS = 5_000;

export interface ShowOptions {
  json: boolean;
  stop: { readonly asked: boolean; readonly when: Promise<void> };
  /** Called before each look. */
  onLook(): void;
  /** Lines to show above the tables; taken from there. */
  news: string[];
}

/** `gone`: no node has been running for some seconds. */
export async function showUntilStopped(
  environment: Environment,
  cluster: LocalCluster,
  options: ShowOptions,
): Promise<'stopped' | 'gone'> {
  const { stdout } = environment;
  const { stop, news } = options;
  const repaint = stdout.isTty && !options.json;
  const watcher = watch(cluster);
  const services = watchServices(cluster);
  let painted = '';
  let shown = '';
  let goneSince: number | undefined;
  try {
    while (!stop.asked) {
      options.onLook();
      const [nodes, pipeline] = await Promise.all([watcher.look(), services.look()]);
      if (stop.asked) break;
      const told = news
        .splice(0)
        .map((line) => `${line}\n`)
        .join('');
      const states = statesOf(nodes, pipeline);
      if (repaint) {
        // The terminal may have become narrower since: what was painted takes more rows then.
        const up = rowsTaken(painted, stdout.columns);
        painted = fittedTable(nodes, stdout.columns) + fittedServices(pipeline, stdout.columns);
        await stdout.write(`${up > 0 ? `\u001b[${up}A\u001b[J` : ''}${told}${painted}`);
      } else {
        await environment.stderr.write(told);
        if (states !== shown)
          await stdout.write(options.json ? jsonLine(nodes, pipeline) : plainTables(nodes, pipeline));
      }
      shown = states;
      const isGone = nodes.every(({ pid }) => pid === undefined);
      goneSince = isGone ? (goneSince ?? performance.now()) : undefined;
      if (goneSince !== undefined && performance.now() - goneSince >= GONE_MS) return 'gone';
      await Promise.race([sleep(LOOK_INTERVAL_MS), stop.when]);
    }
    return 'stopped';
  } finally {
    watcher.close();
  }
}

function statesOf(nodes: readonly Sight[], pipeline: readonly ServiceSight[]): string {
  const ofNodes = nodes.map((sight) => `${sight.node.id} ${withoutFigures(stateOf(sight))}`);
  const ofServices = pipeline.map((sight) => `${sight.part.id} ${stateKind(sight)}`);
  return [...ofNodes, ...ofServices].join('|');
}

function plainTables(nodes: readonly Sight[], pipeline: readonly ServiceSight[]): string {
  return statusTable(nodes) + (pipeline.length === 0 ? '' : servicesTable(pipeline));
}

function jsonLine(nodes: readonly Sight[], pipeline: readonly ServiceSight[]): string {
  return `${JSON.stringify([...nodes.map(sightJson), ...pipeline.map(serviceJson)])}\n`;
}

function serviceJson(sight: ServiceSight) {
  return {
    name: sight.part.id,
    address: addressOf(sight.part),
    pid: sight.pid ?? null,
    state: serviceState(sight),
  };
}

function sightJson(sight: Sight) {
  return {
    nodeId: sight.node.id,
    address: addressOf(sight.node),
    pid: sight.pid ?? null,
    state: stateOf(sight),
  };
}
