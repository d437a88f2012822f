import type { Route, RouteShape } from '../http/routes.js';
import type { QueryLimits } from './config.js';
import type { QueryContext } from './context.js';
import { getCount, getCountShape } from './get-count.js';
import { getHottest, getHottestShape } from './get-hottest.js';
import { getReport, getReportShape } from './get-report.js';
import { getStats, getStatsShape } from './get-stats.js';

export function queryRoutes(context: QueryContext): Route[] {
  return [getCount(context), getStats(context), getHottest(context), getReport(context)];
}

/** What they take and give, for documents. */
export function queryShapes(limits: QueryLimits): RouteShape[] {
  return [getCountShape(limits), getStatsShape(limits), getHottestShape(limits), getReportShape(limits)];
}

export const QUERY_API = {
  title: 'tallyring query service',
  description:
    'What was counted: totals, ranges and time series, the hottest videos, and the report of the last hours. ' +
    'Integers beyond 2^53 are strings. Unknown query parameters are refused. Times are UTC.',
};
