import { z } from 'zod';

/** What answers look like, for the OpenAPI document; tests hold the answers to it. */

const integer = z
  .union([z.int(), z.string().regex(/^-?\d+$/)])
  .describe('A number while it is exact as one (up to 2^53), else a string of its digits');

export const valuesShape = {
  count: integer.optional().describe('Events'),
  sum: integer.optional().describe('Sum of the events’ values'),
  average: z.number().nullable().optional().describe('sum / count; null where count is 0'),
  min: integer.nullable().optional(),
  max: integer.nullable().optional(),
};

export const videoErrorShape = z
  .looseObject({ code: z.string(), message: z.string() })
  .optional()
  .describe('Why this video has no values, where others have; as in error answers');

export const rangeShape = z.strictObject({
  startTime: z.iso.datetime(),
  endTime: z.iso.datetime(),
  granularity: z.enum(['day', 'hour', 'minute']).optional(),
});

/** Errors of every read. */
export const readErrors = {
  400: { description: 'INVALID_ARGUMENT, OUT_OF_RANGE: the request is wrong in itself' },
  503: {
    description:
      'UNAVAILABLE, OVERLOADED: too few replicas are live, or the store was not reached; try again after `Retry-After`',
  },
  504: { description: 'READ_TIMEOUT: too few replicas answered in time' },
};
