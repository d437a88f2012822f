import { z } from 'zod';
import type { ReadOutcome, StatsResult } from '../../client/index.js';
import { planRange } from '../../counter/range.js';
import { LEVELS } from '../../proto/level.js';
import { type Route, type RouteAnswer, route } from '../http/routes.js';
import type { QueryLimits } from './config.js';
import { columnText, perVideo, type QueryContext, timeJson } from './context.js';
import { readColumns } from './get-hottest.js';
import { readRange } from './get-stats.js';
import { consistency, eventType, videoIds, wholeNumber } from './parameters.js';
import { type Report, reportCsv, reportText } from './report-table.js';
import { readErrors, videoErrorShape } from './shapes.js';
import type { Columns } from './store.js';

const HOUR_MS = 3_600_000;
const DEFAULT_HOURS = 6;
const integer = z.union([z.int(), z.string()]);

const answer = z.strictObject({
  eventType: z.string(),
  consistency: z.enum(LEVELS),
  covered: z
    .strictObject({ startTime: z.iso.datetime(), endTime: z.iso.datetime(), granularity: z.literal('hour') })
    .describe('Whole hours; the last one is still going on'),
  videos: z.array(
    z.strictObject({
      videoId: z.string(),
      name: z.string().nullable().optional(),
      channel: z.string().nullable().optional(),
      total: integer.optional().describe('Of all these hours'),
      hours: z.array(z.strictObject({ startTime: z.iso.datetime(), count: integer })).optional(),
      error: videoErrorShape,
    }),
  ),
});

const example = {
  eventType: 'view',
  consistency: 'QUORUM',
  covered: {
    startTime: '2026-01-31T10:00:00.000Z',
    endTime: '2026-01-31T12:00:00.000Z',
    granularity: 'hour',
  },
  videos: [
    {
      videoId: 'cats.mp4',
      name: 'Cats on keyboards',
      channel: 'Cats',
      total: 1_480,
      hours: [
        { startTime: '2026-01-31T10:00:00.000Z', count: 812 },
        { startTime: '2026-01-31T11:00:00.000Z', count: 668 },
      ],
    },
  ],
};

export const getReportShape = (limits: QueryLimits) => ({
  method: 'GET' as const,
  path: '/getReport',
  summary: 'Video, channel, views per hour of the last hours',
  description:
    'One row per video. As JSON, as CSV (RFC 4180; one column per hour), or as a table for a terminal. Tables have only rows that can be read whole: else the answer is the error.',
  query: z.strictObject({
    videoId: videoIds(limits.maxVideos),
    eventType: eventType.default('view'),
    hours: wholeNumber('Hours, the one that is going on included', {
      to: limits.maxReportHours,
      fallback: DEFAULT_HOURS,
    }),
    format: z.enum(['json', 'csv', 'text']).default('json'),
    consistency,
  }),
  examples: { query: { videoId: 'cats.mp4', hours: '6' } },
  alsoAnswers: ['text/csv', 'text/plain'],
  answers: { 200: { description: 'The report', schema: answer, example }, ...readErrors },
});

export function getReport(context: QueryContext): Route {
  return route(getReportShape(context.limits), async ({ query }) => {
    const { videoId: ids, eventType: type } = query;
    const endMs = (Math.floor(context.clock.wallMs() / HOUR_MS) + 1) * HOUR_MS;
    const startMs = endMs - query.hours * HOUR_MS;
    const { rollups } = context.store;
    const plan = planRange({ startMs, endMs, rollups, granularity: 'hour' });
    const [{ value: outcomes }, columns] = await Promise.all([
      readRange(context, {
        videoIds: ids,
        eventType: type,
        plan,
        granularity: 'hour',
        functions: ['count'],
        fill: true,
        consistency: query.consistency,
        bypass: false,
      }),
      readColumns(context, ids, query.consistency),
    ]);
    if (query.format !== 'json') return table({ ids, type, outcomes, columns }, query.format);
    return {
      body: {
        eventType: type,
        consistency: query.consistency ?? context.consistency,
        covered: { startTime: timeJson(startMs), endTime: timeJson(endMs), granularity: 'hour' },
        videos: perVideo(ids, outcomes.map(withColumns(columns)), videoJson),
      },
    };
  });
}

interface Described {
  result: StatsResult<bigint>;
  name: string | null;
  channel: string | null;
}

function withColumns(columns: readonly ReadOutcome<Columns>[]) {
  return (outcome: ReadOutcome<StatsResult<bigint>>, i: number): ReadOutcome<Described> => {
    if (outcome.error !== undefined) return outcome;
    const name = columnText(columns[i], 'name');
    return { value: { result: outcome.value, name, channel: columnText(columns[i], 'channel') } };
  };
}

function videoJson({ result, name, channel }: Described): object {
  const hours = result.series!.map(({ start, count }) => ({ startTime: start.toISOString(), count }));
  return { name, channel, total: result.count, hours };
}

interface Read {
  ids: readonly string[];
  type: string;
  outcomes: readonly ReadOutcome<StatsResult<bigint>>[];
  columns: readonly ReadOutcome<Columns>[];
}

function table({ ids, type, outcomes, columns }: Read, format: 'csv' | 'text'): RouteAnswer {
  const rows = outcomes.map(withColumns(columns)).map((outcome, i) => {
    if (outcome.error !== undefined) throw outcome.error;
    const { result, name, channel } = outcome.value;
    const hours = result.series!.map(({ count }) => count!);
    return { videoId: ids[i]!, name, channel, total: result.count!, hours };
  });
  const starts = outcomes[0]!.value!.series!.map(({ start }) => start.getTime());
  const report: Report = { eventType: type, hours: starts, rows };
  return format === 'csv'
    ? { body: reportCsv(report), contentType: 'text/csv; charset=utf-8; header=present' }
    : { body: reportText(report), contentType: 'text/plain; charset=utf-8' };
}
