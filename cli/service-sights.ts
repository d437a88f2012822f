import { addressOf } from './contact.js';
import type { Environment, HttpAnswer } from './environment.js';
import type { LocalCluster } from './node-processes.js';
import type { Part } from './parts.js';
import { livePid } from './state-folder.js';

/** The services of the pipeline, seen from outside: the process, and what /health says. */

export interface ServiceSight {
  part: Part;
  pid: number | undefined;
  /** Undefined when it does not answer. */
  health: ServiceHealth | undefined;
  /** Whether this process answered before. */
  answered: boolean;
  eventsPerSecond: number | undefined;
}

export interface ServiceHealth {
  ok: boolean;
  /** What is wrong, or what it is at; for people. */
  message: string;
  /** Whether it is at its work: false while a processing instance waits for partitions. */
  working: boolean;
  /** Events counted since the process started. */
  counted: number | undefined;
  /** Events in the log that are not counted yet. */
  lag: number | undefined;
}

export interface ServiceWatcher {
  look(): Promise<ServiceSight[]>;
}

const LOOK_TIMEOUT_MS = 1_000;
/** A service that yields to others may be late once on a busy machine, and is not gone for that. */
const MAX_MISSED = 1;
/** A rate needs some time between two figures. */
const RATE_MS = 900;

export function watchServices(
  cluster: LocalCluster,
  parts: readonly Part[] = cluster.services,
): ServiceWatcher {
  const { environment, data } = cluster;
  const looks = new Map<string, Look>();
  const rates = new Map<string, Rate>();
  async function lookAt(part: Part): Promise<ServiceSight> {
    const pid = livePid(data, part.id);
    if (pid === undefined) {
      return { part, pid, health: undefined, answered: false, eventsPerSecond: undefined };
    }
    const answer = await healthOf(environment, part);
    const known = afterLook(looks.get(part.id), pid, answer);
    looks.set(part.id, known);
    const { health, answered } = known;
    const eventsPerSecond = rateOf(rates, part.id, health?.counted);
    return { part, pid, health, answered, eventsPerSecond };
  }
  return { look: () => Promise.all(parts.map(lookAt)) };
}

interface Look {
  pid: number;
  health: ServiceHealth | undefined;
  /** Whether this process ever answered. */
  answered: boolean;
  /** Looks in a row that it did not answer. */
  missed: number;
}

/** What is known of a process after it was asked once more. */
export function afterLook(last: Look | undefined, pid: number, answer: ServiceHealth | undefined): Look {
  if (answer !== undefined) return { pid, health: answer, answered: true, missed: 0 };
  if (last?.pid !== pid) return { pid, health: undefined, answered: false, missed: 1 };
  const missed = last.missed + 1;
  return { ...last, health: missed > MAX_MISSED ? undefined : last.health, missed };
}

interface Rate {
  counted: number;
  atMs: number;
  perSecond: number | undefined;
}

function rateOf(rates: Map<string, Rate>, id: string, counted: number | undefined): number | undefined {
  if (counted === undefined) return undefined;
  const atMs = performance.now();
  const last = rates.get(id);
  if (last === undefined || counted < last.counted) {
    rates.set(id, { counted, atMs, perSecond: undefined });
    return undefined;
  }
  if (atMs - last.atMs < RATE_MS) return last.perSecond;
  const perSecond = ((counted - last.counted) / (atMs - last.atMs)) * 1000;
  rates.set(id, { counted, atMs, perSecond });
  return perSecond;
}

export async function healthOf(environment: Environment, part: Part): Promise<ServiceHealth | undefined> {
  if (part.healthPort === 0) {
    return {
      ok: true,
      working: true,
      message: 'runs (no metricsPort: its health is not known)',
      counted: undefined,
      lag: undefined,
    };
  }
  const url = `http://${addressOf({ host: part.host, port: part.healthPort })}/health`;
  try {
    return readHealth(part, await environment.http({ url, timeoutMs: LOOK_TIMEOUT_MS }));
  } catch {
    return undefined;
  }
}

/** Undefined when something else answers there. */
export function readHealth(part: Part, { status, body }: HttpAnswer): ServiceHealth | undefined {
  if (status !== 200 && status !== 503) return undefined;
  const said = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  if (typeof said.name === 'string' && said.name !== part.id) return undefined;
  const ok = status === 200;
  const store = said.store as { reason?: unknown } | undefined;
  const text = typeof said.message === 'string' ? said.message : (said.status ?? store?.reason);
  const number = (value: unknown) => (typeof value === 'number' ? value : undefined);
  return {
    ok,
    working: ok && said.counting !== false,
    message: typeof text === 'string' && text !== '' ? text : ok ? 'ok' : 'not ready',
    counted: number(said.counted),
    lag: number(said.lag),
  };
}

/** One word and, where known, why. */
export function serviceState({ pid, health, answered }: ServiceSight): string {
  if (pid === undefined) return 'down';
  if (health === undefined) return answered ? 'does not answer' : 'starting, or does not answer';
  return health.message;
}

/** A state without its figures, e.g. how far behind it is, which change all the time. */
export function stateKind(sight: ServiceSight): string {
  return serviceState(sight).replace(/\d+/g, '#');
}
