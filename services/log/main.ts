import { collectDefaultMetrics } from 'prom-client';
import type { Logger } from '../../ports/logger.js';
import { realClock, realRandom, realTimers } from '../../ports/real.js';
import { checkListenHost } from '../../proto/listen.js';
import { type MetricsHttp, serveMetrics } from '../../proto/metrics-http.js';
import type { LogConfig } from './config.js';
import { type LogCore, openLogCore } from './core.js';
import { openLogFolder } from './log-folder.js';
import { createLogMetrics } from './metrics.js';
import { LogServer } from './transport/server.js';

export interface RunLogOptions {
  config: LogConfig;
  /** Whether it may listen on anything but loopback. */
  insecure: boolean;
  logger: Logger;
  /** The log met its first write error and answers nothing any more; a restart may help. */
  onFailure?(cause: Error): void;
}

export interface RunningLog {
  port: number;
  logId: string;
  /** Lets appends in work end, syncs and closes. */
  close(): Promise<void>;
}

/**
 * Runs the embedded log in this process: LevelDB, gRPC, metrics. It listens only when it is ready to answer.
 * Rejects FAILED_PRECONDITION when the port is in use, the address is not allowed, or another process has the
 * folder, DATA_LOSS when the folder is damaged; nothing keeps running then.
 */
export async function runLog(options: RunLogOptions): Promise<RunningLog> {
  const { config, insecure, logger } = options;
  checkListenHost('the log', config.host, insecure);
  let core: LogCore | undefined;
  let failed = false;
  const metrics = createLogMetrics(() => core?.stats);
  collectDefaultMetrics({ register: metrics.registry });
  const parts = { clock: realClock, timers: realTimers, random: realRandom, logger };
  const opened = await openLogFolder({ folder: config.dataDir, ...config, ...parts });
  const closing: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const step of closing.splice(0)) await step();
  };
  try {
    closing.push(() => (core ?? opened.store).close());
    core = await openLogCore({
      ...opened,
      ...parts,
      limits: config,
      onCommit({ records, seconds }) {
        metrics.commits.inc();
        metrics.commitRecords.observe(records);
        metrics.commitSeconds.observe(seconds);
      },
      onFailure(cause) {
        failed = true;
        server.setServing(false);
        options.onFailure?.(cause);
      },
    });
    const onCall = (call: string, code: string) => metrics.requests.inc({ call, code });
    const server = new LogServer({ core, config, clock: realClock, onCall });
    const port = await server.bind();
    closing.unshift(
      () => core!.drain(),
      () => server.close(),
    );
    const health = () => ({ serving: !failed, ...core!.stats });
    const http = await serveMetricsOf(config, { registry: metrics.registry, health });
    if (http !== undefined) closing.unshift(() => http.close());
    server.setServing(true);
    return { port, logId: opened.description.logId, close };
  } catch (error) {
    await close().catch((cause: unknown) => logger.error({ cause }, 'closing after a failed start'));
    throw error;
  }
}

function serveMetricsOf(
  { host, metricsPort }: LogConfig,
  served: Pick<Parameters<typeof serveMetrics>[0], 'registry' | 'health'>,
): Promise<MetricsHttp | undefined> {
  if (metricsPort === 0) return Promise.resolve(undefined);
  return serveMetrics({ host, port: metricsPort, ...served });
}
