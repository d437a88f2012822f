import { z } from 'zod';
import { LEVELS } from '../../proto/level.js';
import { type Route, route } from '../http/routes.js';
import type { QueryLimits } from './config.js';
import { perVideo, type QueryContext, readOptions, valuesJson } from './context.js';
import { consistency, eventType, videoIds } from './parameters.js';
import { readErrors, valuesShape, videoErrorShape } from './shapes.js';

const answer = z.strictObject({
  eventType: z.string(),
  consistency: z.enum(LEVELS),
  videos: z.array(z.strictObject({ videoId: z.string(), ...valuesShape, error: videoErrorShape })),
});

export const getCountShape = (limits: QueryLimits) => ({
  method: 'GET' as const,
  path: '/getCount',
  summary: 'What videos were counted in total',
  description:
    'Exact at the asked consistency, never cached. One entry per video, in the order asked; when none can be read, the whole answer is that error.',
  query: z.strictObject({ videoId: videoIds(limits.maxVideos), eventType, consistency }),
  examples: { query: { videoId: 'cats.mp4', eventType: 'view' } },
  answers: {
    200: {
      description: 'The totals',
      schema: answer,
      example: {
        eventType: 'view',
        consistency: 'QUORUM',
        videos: [{ videoId: 'cats.mp4', count: 57_820, sum: 57_820, average: 1, min: 1, max: 1 }],
      },
    },
    ...readErrors,
  },
});

export function getCount(context: QueryContext): Route {
  return route(getCountShape(context.limits), async ({ query }) => {
    const options = readOptions(context, query.consistency);
    const cells = query.videoId.map((key) => ({ key, eventType: query.eventType }));
    const { value: outcomes } = await context.reads.read({
      name: JSON.stringify(['count', query.videoId, query.eventType, options.consistency]),
      isSettled: false,
      bypass: false,
      load: () => context.store.getMany(cells, options),
      pointsOf: () => 0,
    });
    return {
      body: {
        eventType: query.eventType,
        consistency: options.consistency,
        videos: perVideo(query.videoId, outcomes, valuesJson),
      },
    };
  });
}
