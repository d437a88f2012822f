import { z } from 'zod';
import type { Granularity, ReadOutcome, StatsFunction, StatsResult } from '../../client/index.js';
import { planRange, type RangePlan } from '../../counter/range.js';
import { windowMs } from '../../counter/window.js';
import { TallyringError } from '../../proto/errors.js';
import { type ConsistencyLevel, LEVELS } from '../../proto/level.js';
import { type Route, route } from '../http/routes.js';
import type { QueryLimits } from './config.js';
import { perVideo, type QueryContext, readOptions, timeJson, valuesJson } from './context.js';
import { consistency, eventType, functions, granularity, TIME_TEXT, time, videoIds } from './parameters.js';
import { rangeShape, readErrors, valuesShape, videoErrorShape } from './shapes.js';
import type { SharedAnswer } from './shared-reads.js';

const DEFAULT_RANGE_MS = 86_400_000;

const point = z.strictObject({ startTime: z.iso.datetime(), ...valuesShape });
const answer = z.strictObject({
  eventType: z.string(),
  consistency: z.enum(LEVELS),
  asked: rangeShape,
  covered: rangeShape.describe(
    'What the values and the series are really of: `asked`, widened to the windows that are kept',
  ),
  cached: z.boolean(),
  ageMs: z.int().optional().describe('Of a cached answer: how long ago it was read'),
  videos: z.array(
    z.strictObject({
      videoId: z.string(),
      ...valuesShape,
      series: z.array(point).optional(),
      error: videoErrorShape,
    }),
  ),
});

const example = {
  eventType: 'watch_ms',
  consistency: 'QUORUM',
  asked: { startTime: '2026-01-31T10:20:00.000Z', endTime: '2026-01-31T12:00:00.000Z', granularity: 'hour' },
  covered: {
    startTime: '2026-01-31T10:00:00.000Z',
    endTime: '2026-01-31T12:00:00.000Z',
    granularity: 'hour',
  },
  cached: false,
  videos: [
    {
      videoId: 'cats.mp4',
      count: 3,
      average: 2_000,
      series: [
        { startTime: '2026-01-31T10:00:00.000Z', count: 2, average: 2_500 },
        { startTime: '2026-01-31T11:00:00.000Z', count: 1, average: 1_000 },
      ],
    },
  ],
};

export const getStatsShape = (limits: QueryLimits) => ({
  method: 'GET' as const,
  path: '/getStats',
  summary: 'What videos gained in a time range, and by window',
  description:
    'Without a range it is the last 24 hours. A range that is not aligned to the windows that the cluster keeps is widened; `covered` says to what. ' +
    'Answers about ranges that ended two days ago may be cached for up to a minute: `cached` and `ageMs` tell, and `Cache-Control: no-cache` reads the store.',
  query: z.strictObject({
    videoId: videoIds(limits.maxVideos),
    eventType,
    function: functions,
    startTime: time.optional().describe(`${TIME_TEXT}; 24 hours before \`endTime\` when absent`),
    endTime: time.optional().describe(`${TIME_TEXT}, not itself included; now when absent`),
    granularity,
    fill: z
      .enum(['zero', 'none'])
      .default('none')
      .describe('`zero`: the series has windows without events too, with zeros'),
    consistency,
  }),
  headers: z.object({
    'cache-control': z.string().optional().describe('`no-cache`: read the store, whatever is cached'),
  }),
  examples: {
    query: {
      videoId: 'cats.mp4',
      eventType: 'watch_ms',
      function: 'count,average',
      startTime: '2026-01-31T10:20:00Z',
      endTime: '2026-01-31T12:00:00Z',
      granularity: 'hour',
    },
  },
  answers: { 200: { description: 'The values of the range', schema: answer, example }, ...readErrors },
});

export function getStats(context: QueryContext): Route {
  return route(getStatsShape(context.limits), async ({ query, headers }) => {
    const { eventType: type, granularity: by } = query;
    const endMs = query.endTime ?? context.clock.wallMs();
    const startMs = query.startTime ?? endMs - DEFAULT_RANGE_MS;
    const asked = { startMs, endMs, isEndGiven: query.endTime !== undefined, granularity: by };
    const plan = planned({ ...asked, videos: query.videoId.length }, context);
    const { value, ageMs } = await readRange(context, {
      videoIds: query.videoId,
      eventType: type,
      plan,
      granularity: by,
      functions: query.function,
      fill: query.fill === 'zero',
      consistency: query.consistency,
      bypass: /\bno-cache\b|\bno-store\b/i.test(headers['cache-control'] ?? ''),
    });
    return {
      body: {
        eventType: type,
        consistency: query.consistency ?? context.consistency,
        asked: rangeJson(startMs, endMs, by),
        covered: rangeJson(plan.startMs, plan.endMs, by),
        cached: ageMs !== undefined,
        ageMs: ageMs === undefined ? undefined : Math.round(ageMs),
        videos: perVideo(query.videoId, value, statsJson),
      },
    };
  });
}

interface Asked {
  startMs: number;
  endMs: number;
  isEndGiven: boolean;
  granularity: Granularity | undefined;
  videos: number;
}

/** What the store will cover, before it is asked. Throws INVALID_ARGUMENT for what cannot be answered. */
function planned(
  { startMs, endMs, isEndGiven, granularity: by, videos }: Asked,
  context: QueryContext,
): RangePlan {
  if (endMs <= startMs) {
    const text = `endTime ${timeJson(endMs)}${isEndGiven ? '' : ' (now)'} must lie after startTime ${timeJson(startMs)}`;
    throw new TallyringError('INVALID_ARGUMENT', text);
  }
  const plan = planRange({ startMs, endMs, rollups: context.store.rollups, granularity: by });
  if (by === undefined) return plan;
  const points = ((plan.endMs - plan.startMs) / windowMs(by)) * videos;
  const { maxPoints } = context.limits;
  if (points <= maxPoints) return plan;
  const hint = 'ask for a shorter range, a coarser granularity or fewer videos';
  const text = `the range has ${points} windows of ${by === 'hour' ? 'an' : 'a'} ${by}, with events or without, more than ${maxPoints} (maxPoints); ${hint}`;
  throw new TallyringError('INVALID_ARGUMENT', text);
}

export interface RangeRead {
  videoIds: readonly string[];
  eventType: string;
  plan: RangePlan;
  granularity: Granularity | undefined;
  functions: readonly StatsFunction[] | undefined;
  fill: boolean;
  consistency: ConsistencyLevel | undefined;
  bypass: boolean;
}

type Ranges = ReadOutcome<StatsResult<bigint>>[];

/** Reads what a plan covers: equal plans are equal reads, whatever range was asked for. */
export function readRange(context: QueryContext, read: RangeRead): Promise<SharedAnswer<Ranges>> {
  const { videoIds: ids, plan, granularity: by, fill, bypass } = read;
  const options = readOptions(context, read.consistency);
  const range = { start: plan.startMs, end: plan.endMs, granularity: by, functions: read.functions, fill };
  return context.reads.read({
    name: JSON.stringify([ids, read.eventType, range, options.consistency]),
    isSettled: plan.endMs + context.limits.settledAfterMs <= context.clock.wallMs(),
    bypass,
    load: () =>
      context.store.statsMany(
        ids.map((key) => ({ key, eventType: read.eventType, ...range })),
        options,
      ),
    // What some replicas did not answer is not kept.
    pointsOf: (outcomes) =>
      outcomes.some(({ error }) => error !== undefined)
        ? 0
        : outcomes.reduce((sum, { value }) => sum + 1 + (value?.series?.length ?? 0), 0),
  });
}

function rangeJson(startMs: number, endMs: number, by: Granularity | undefined) {
  return { startTime: timeJson(startMs), endTime: timeJson(endMs), granularity: by };
}

function statsJson(result: StatsResult<bigint>): object {
  const { series } = result;
  const points = series?.map(({ start, ...value }) => ({
    startTime: start.toISOString(),
    ...valuesJson(value),
  }));
  return { ...valuesJson(result), series: points };
}
