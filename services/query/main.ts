import { collectDefaultMetrics, Registry } from 'prom-client';
import { connect } from '../../client/index.js';
import { checkContactPoints } from '../../client/options.js';
import type { Clock, Timers } from '../../ports/clock.js';
import type { Logger } from '../../ports/logger.js';
import { realClock, realTimers } from '../../ports/real.js';
import { openHttp } from '../http/open-http.js';
import { openApiFile } from '../http/openapi.js';
import { QUERY_API, queryRoutes } from './api.js';
import type { QueryConfig } from './config.js';
import { LateStore } from './late-store.js';
import { pageFiles } from './page-files.js';
import { SharedReads } from './shared-reads.js';
import type { QueryStore } from './store.js';

export interface RunQueryOptions {
  logger: Logger;
  /** Of the software, in the OpenAPI document. */
  version: string;
  /** Instead of a client of the SDK. */
  connectStore?: (() => Promise<QueryStore>) | undefined;
  clock?: Clock | undefined;
  timers?: Timers | undefined;
}

export interface RunningQuery {
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Runs the query service. It listens at once, whether or not the store can be reached: until it can, reads
 * answer UNAVAILABLE. Rejects FAILED_PRECONDITION when the port is in use, INVALID_ARGUMENT for contact points
 * that are none.
 */
export async function runQuery(config: QueryConfig, options: RunQueryOptions): Promise<RunningQuery> {
  const { logger, version, clock = realClock, timers = realTimers } = options;
  const { limits, consistency } = config;
  const store = new LateStore({
    connect: options.connectStore ?? sdkStore(config, logger),
    intervalMs: limits.storeCheckIntervalMs,
    timers,
    logger,
  });
  const registry = new Registry();
  registry.setDefaultLabels({ service: 'query' });
  collectDefaultMetrics({ register: registry });
  const reads = new SharedReads({ ...limits, clock });
  const routes = queryRoutes({ store, reads, limits, consistency, clock });
  const server = await openHttp(
    {
      name: 'query',
      limits: config.http,
      logger,
      registry,
      health: () => ({ serving: store.sight.reachable, store: store.sight }),
      routes,
      files: [...(await pageFiles(config.eventsAddress)), openApiFile({ ...QUERY_API, version, routes })],
    },
    config,
  );
  await store.seek();
  const close = async () => {
    await server.close();
    await store.close();
  };
  return { host: server.host, port: server.port, close };
}

function sdkStore(config: QueryConfig, logger: Logger): () => Promise<QueryStore> {
  const { localDatacenter, consistency, limits } = config;
  const contactPoints = checkContactPoints(config.contactPoints);
  const requestTimeoutMs = limits.storeTimeoutMs;
  return () => {
    const { hedgeAfterMs: hedgeReadsAfterMs, hedgedShare: hedgedReadShare } = limits;
    const hedging = { hedgeReadsAfterMs, hedgedReadShare };
    const how = { contactPoints, localDatacenter, consistency, requestTimeoutMs, logger };
    return connect({ ...how, ...hedging, int64: 'bigint' });
  };
}
