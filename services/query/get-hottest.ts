import { z } from 'zod';
import { planRange } from '../../counter/range.js';
import { type Route, route } from '../http/routes.js';
import { HOTTEST_KEY } from '../processing/hottest-publisher.js';
import type { QueryLimits } from './config.js';
import { columnText, type QueryContext, readOptions, timeJson, valuesJson } from './context.js';
import { readRange } from './get-stats.js';
import { type Hottest, mergeHottest } from './hottest.js';
import { consistency, eventType, wholeNumber } from './parameters.js';
import { rangeShape, readErrors, valuesShape } from './shapes.js';

const HOUR_MS = 3_600_000;
const DEFAULT_LIMIT = 10;

const answer = z.strictObject({
  eventType: z.string(),
  approximate: z
    .literal(true)
    .describe('Which videos are here, and in which order, is an estimate; `lastHour` is exact'),
  window: z
    .strictObject({ ms: z.number(), oldest: z.iso.datetime(), newest: z.iso.datetime() })
    .optional()
    .describe('How long an event weighs about, and when the lists were written'),
  partitions: z
    .strictObject({ used: z.int(), outdated: z.int(), malformed: z.int() })
    .describe('Lists that the processing service left, one per partition of the log'),
  lastHour: rangeShape.describe('What the exact values cover: the last hour, widened to whole windows'),
  videos: z.array(
    z.strictObject({
      videoId: z.string(),
      name: z.string().nullable(),
      estimate: z
        .number()
        .describe(
          'Events of late, by when they came in, of which older ones weigh less: the true weight is at most this …',
        ),
      maxOverestimate: z.number().describe('… and at most this much less'),
      lastHour: z.strictObject(valuesShape).nullable().describe('Exact; null where it cannot be read'),
    }),
  ),
});

const example = {
  eventType: 'view',
  approximate: true,
  window: { ms: 3_600_000, oldest: '2026-01-31T11:59:57.000Z', newest: '2026-01-31T11:59:59.000Z' },
  partitions: { used: 8, outdated: 0, malformed: 0 },
  lastHour: { startTime: '2026-01-31T10:00:00.000Z', endTime: '2026-01-31T12:00:00.000Z' },
  videos: [
    {
      videoId: 'cats.mp4',
      name: 'Cats on keyboards',
      estimate: 912,
      maxOverestimate: 3,
      lastHour: { count: 1_480, sum: 1_480 },
    },
  ],
};

export const getHottestShape = (limits: QueryLimits) => ({
  method: 'GET' as const,
  path: '/getHottest',
  summary: 'The videos with the most events of late',
  description:
    'From the bounded lists that the processing service keeps, so it may miss a video at its lower end and `estimate` may be too high by `maxOverestimate`. The exact values of the last hour, from the store, stand beside it.',
  query: z.strictObject({
    eventType: eventType.default('view'),
    limit: wholeNumber('Videos', { to: limits.maxHottest, fallback: DEFAULT_LIMIT }),
    consistency,
  }),
  examples: { query: { eventType: 'view', limit: '10' } },
  answers: { 200: { description: 'The hottest first', schema: answer, example }, ...readErrors },
});

export function getHottest(context: QueryContext): Route {
  return route(getHottestShape(context.limits), async ({ query }) => {
    const nowMs = context.clock.wallMs();
    const hottest = mergeHottest(await readLists(context, query.consistency), {
      eventType: query.eventType,
      limit: query.limit,
      nowMs,
    });
    const ids = hottest.videos.map(({ videoId }) => videoId);
    const plan = planRange({ startMs: nowMs - HOUR_MS, endMs: nowMs, rollups: context.store.rollups });
    const [counts, names] = await Promise.all([
      ids.length === 0 ? [] : exactCounts(context, { ...query, ids, plan }),
      ids.length === 0 ? [] : readColumns(context, ids, query.consistency),
    ]);
    return {
      body: {
        eventType: query.eventType,
        approximate: true,
        window: windowJson(hottest),
        partitions: hottest.partitions,
        lastHour: { startTime: timeJson(plan.startMs), endTime: timeJson(plan.endMs) },
        videos: hottest.videos.map(({ videoId, estimate, error }, i) => ({
          videoId,
          name: columnText(names[i], 'name'),
          estimate,
          maxOverestimate: error,
          lastHour: counts[i]?.value === undefined ? null : valuesJson(counts[i].value),
        })),
      },
    };
  });
}

type Level = Parameters<typeof readOptions>[1];

async function readLists(context: QueryContext, level: Level) {
  const [outcome] = await readColumns(context, [HOTTEST_KEY], level);
  if (outcome!.error !== undefined) throw outcome!.error;
  return outcome!.value;
}

/** The descriptive columns of some keys; equal reads go together. */
export async function readColumns(context: QueryContext, keys: readonly string[], level: Level) {
  const options = readOptions(context, level);
  const { value } = await context.reads.read({
    name: JSON.stringify(['columns', keys, options.consistency]),
    isSettled: false,
    bypass: false,
    load: () => context.store.getColumns(keys, options),
    pointsOf: () => 0,
  });
  return value;
}

async function exactCounts(
  context: QueryContext,
  read: { ids: string[]; plan: ReturnType<typeof planRange>; eventType: string; consistency?: Level },
) {
  const { value } = await readRange(context, {
    videoIds: read.ids,
    eventType: read.eventType,
    plan: read.plan,
    granularity: undefined,
    functions: ['count', 'sum'],
    fill: false,
    consistency: read.consistency,
    bypass: false,
  });
  return value;
}

function windowJson({ windowMs, asOf }: Hottest) {
  if (asOf === undefined) return undefined;
  return { ms: windowMs, oldest: timeJson(asOf.oldestMs), newest: timeJson(asOf.newestMs) };
}
