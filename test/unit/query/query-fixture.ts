import { Registry } from 'prom-client';
import { silentLogger } from '../../../ports/logger.js';
import { httpLimitsSchema } from '../../../services/http/limits.js';
import { createHttp } from '../../../services/http/open-http.js';
import { queryRoutes } from '../../../services/query/api.js';
import { type QueryLimits, queryConfigSchema } from '../../../services/query/config.js';
import { SharedReads } from '../../../services/query/shared-reads.js';
import { FakeStore } from './fake-store.js';

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
/** The time of these tests. */
export const NOW_MS = Date.parse('2026-02-01T12:30:00Z');

/** The query service's routes on a store in memory, without sockets; `clock` may be set forward. */
export function queryFixture(limits: Partial<QueryLimits> = {}, store = new FakeStore()) {
  const config = queryConfigSchema.parse({ limits });
  const clock = { ms: NOW_MS, wallMs: () => clock.ms, monotonicMs: () => clock.ms };
  const reads = new SharedReads({ ...config.limits, clock });
  const { consistency } = config;
  const routes = queryRoutes({ store, reads, limits: config.limits, consistency, clock });
  const app = createHttp({
    name: 'query',
    limits: httpLimitsSchema.parse({}),
    logger: silentLogger,
    registry: new Registry(),
    health: () => ({ serving: true }),
    routes,
  });
  const get = async (url: string, headers: Record<string, string> = {}) => {
    const { statusCode, body, headers: answered } = await app.inject({ url, headers });
    const json = String(answered['content-type']).startsWith('application/json');
    return { status: statusCode, text: body, headers: answered, body: json ? JSON.parse(body) : undefined };
  };
  return { store, clock, routes, get };
}
