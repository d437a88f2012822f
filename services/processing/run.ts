import { setTimeout as sleep } from 'node:timers/promises';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { connect, type TallyringClient } from '../../client/index.js';
import { logDrivenLimits } from '../../client/log-driven/options.js';
import type { Logger } from '../../ports/logger.js';
import { realClock, realRandom, realTimers } from '../../ports/real.js';
import { asTallyringError } from '../../proto/errors.js';
import { openHttp } from '../http/open-http.js';
import { openApiFile } from '../http/openapi.js';
import type { DeadLetters } from '../log/dead-letters.js';
import type { EventLog } from '../log/log.js';
import { Appender } from './appender.js';
import type { InstanceConfig, ProcessingConfig } from './config.js';
import { healthOf, type ProcessingHealth } from './health.js';
import { publishHottest } from './hottest-publisher.js';
import { intakeMetrics } from './http/metrics.js';
import { WRITE_API, writeRoutes } from './http/routes.js';
import { ProcessingInstance } from './instance.js';
import { processingMetrics } from './metrics.js';

export interface RunProcessingOptions {
  config: ProcessingConfig;
  instance: InstanceConfig;
  /** host:port of nodes. */
  contactPoints: readonly string[];
  /** Opens the log; called again until it succeeds. */
  openLog(): Promise<EventLog & { deadLetters: DeadLetters }>;
  logger: Logger;
  /** Of the software, in the OpenAPI document. */
  version: string;
  signal?: AbortSignal | undefined;
}

export interface RunningProcessing {
  name: string;
  port: number;
  health(): ProcessingHealth;
  /** Takes nothing more, commits what is under way within closeTimeoutMs, gives its partitions back. */
  close(): Promise<void>;
}

const RETRY_MS = 1_000;
/** How often the ends of the partitions are asked for: what lag is told by. */
const LOOK_MS = 1_000;

/** Runs one processing instance in this process: the HTTP front, and the counting behind it. */
export async function runProcessing(options: RunProcessingOptions): Promise<RunningProcessing> {
  const { config, instance: own, contactPoints, logger } = options;
  const log = await persistently(options, 'the log', options.openLog);
  const client = await persistently(options, 'the cluster', () =>
    connect<'bigint'>({ contactPoints, int64: 'bigint', attemptTimeoutMs: config.attemptTimeoutMs, logger }),
  );
  const { name, host, port } = own;
  const instance = new ProcessingInstance({
    ...{ client, log, deadLetters: log.deadLetters, pipeline: config.pipeline },
    me: { name, incarnation: realRandom.bytes(8).toString('hex'), address: `${host}:${port}` },
    limits: { ...config, ...logDrivenLimits(config), hot: config.hottest },
  });
  const ends = new Map<number, number>();
  const health = () =>
    healthOf({
      ...{
        name,
        ends,
        counts: instance.counts,
        members: instance.members,
        memberError: instance.memberError,
      },
      statuses: instance.statuses(),
    });
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  processingMetrics(registry, health);
  const http = await openFront({ options, client, log, registry, health });
  const over = new AbortController();
  const side = [
    every(LOOK_MS, over.signal, () =>
      lookAtEnds({ instance, log, ends, timeoutMs: config.attemptTimeoutMs }),
    ),
    every(config.hottest.publishIntervalMs, over.signal, () =>
      publishHottest({
        ...{ client, pipeline: config.pipeline, windowMs: config.hottest.windowMs },
        hottest: (limit) => instance.hottest(limit),
        wallMs: () => realClock.wallMs(),
        timeoutMs: config.attemptTimeoutMs,
      }),
    ),
  ];
  void instance.run();
  logger.info({ name, port: http.port }, 'takes events and counts them');
  const close = async () => {
    await http.close();
    over.abort();
    const late = setTimeout(() => instance.abort(), config.closeTimeoutMs);
    await instance.stop();
    clearTimeout(late);
    await Promise.all(side);
    await client.close();
    await log.close();
  };
  return { name, port: http.port, health, close };
}

interface FrontParts {
  options: RunProcessingOptions;
  client: TallyringClient<'bigint'>;
  log: EventLog;
  registry: Registry;
  health(): ProcessingHealth;
}

function openFront({ options, client, log, registry, health }: FrontParts) {
  const { config, instance, logger } = options;
  const appender = new Appender({
    ...{ log, limits: config, clock: realClock, timers: realTimers, random: realRandom },
  });
  const routes = writeRoutes({
    ...{ appender, columns: client, clock: realClock, dedupWindow: config.dedupWindow },
    maxEventsPerRequest: config.maxEventsPerRequest,
    partitions: log.description.partitions,
    metrics: intakeMetrics(registry, () => appender.load),
  });
  const files = [openApiFile({ ...WRITE_API, version: options.version, routes })];
  return openHttp(
    { name: 'processing', limits: config.http, logger, registry, health, routes, files },
    instance,
  );
}

async function lookAtEnds(parts: {
  instance: ProcessingInstance;
  log: EventLog;
  ends: Map<number, number>;
  timeoutMs: number;
}): Promise<void> {
  const { instance, log, ends, timeoutMs } = parts;
  for (const [partition, { state }] of instance.statuses()) {
    if (state === 'owner') ends.set(partition, (await log.bounds(partition, { timeoutMs })).end);
  }
}

/** Again and again; what fails is tried again the next time. Resolves when the signal aborts. */
async function every(intervalMs: number, signal: AbortSignal, act: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await act().catch(() => {});
    await sleep(intervalMs, undefined, { signal }).catch(() => {});
  }
}

/** Until it succeeds, or the signal aborts: the parts of a pipeline may start in any order. */
async function persistently<T>(
  { logger, signal }: RunProcessingOptions,
  what: string,
  open: () => Promise<T>,
): Promise<T> {
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await open();
    } catch (thrown) {
      const error = asTallyringError(thrown);
      if (!error.retryable && error.code !== 'READ_TIMEOUT') throw error;
      logger.warn({ error: error.message }, `${what} does not answer yet`);
    }
    await sleep(RETRY_MS);
  }
}
