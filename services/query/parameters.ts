import { z } from 'zod';
import { STATS_FUNCTIONS } from '../../client/results.js';
import { noTime, timeOf } from '../../counter/time.js';
import { checkEventType, checkKey, MAX_TIMESTAMP_MS } from '../../counter/validate.js';
import { LEVELS } from '../../proto/level.js';

/** Query parameters: texts in, checked values out; each says what it takes. */

/** What the SDK's own check throws, as an issue of a schema. */
function checkedBy(check: (text: string) => unknown) {
  return (text: string, context: z.RefinementCtx): void => {
    try {
      check(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
    }
  };
}

const listed = (value: unknown) => (typeof value === 'string' ? [value] : value);

export function videoIds(maxVideos: number) {
  const videoId = z.string().superRefine(checkedBy((text) => checkKey(text, 'it')));
  return z
    .preprocess(
      listed,
      z.array(videoId).max(maxVideos, `at most ${maxVideos} videos in one request (maxVideos)`),
    )
    .describe(`The video; may be repeated, up to ${maxVideos} times. One that was never seen has zeros.`);
}

export const eventType = z
  .string()
  .superRefine(checkedBy(checkEventType))
  .describe('What happened to it, e.g. view, like, share, watch_ms');

export const consistency = z
  .preprocess((value) => (typeof value === 'string' ? value.toUpperCase() : value), z.enum(LEVELS))
  .optional()
  .describe('How many replicas must agree; QUORUM unless the service is configured otherwise');

/** Commas or repetition: both are usual for lists. */
export const functions = z
  .preprocess(
    (value) => (typeof value === 'string' ? value.split(',') : value),
    z.array(z.enum(STATS_FUNCTIONS)).min(1),
  )
  .optional()
  .describe('Which values, separated by commas: count, sum, average, min, max. All of them when absent');

export const granularity = z
  .enum(['day', 'hour', 'minute'])
  .optional()
  .describe('Asks for a time series too: one point per window. The cluster must keep that granularity');

interface NumberRange {
  to: number;
  /** When it is absent. */
  fallback: number;
}

/** A whole number of 1 or more, in digits. */
export function wholeNumber(what: string, { to, fallback }: NumberRange) {
  const digits = (value: unknown) =>
    typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;
  const number = z
    .preprocess(digits, z.int(`must be a whole number from 1 to ${to}, in digits`).min(1).max(to))
    .default(fallback);
  // Zod leaves the default of what is transformed out of the document.
  return number.describe(`${what}; ${fallback} when absent`);
}

/** As milliseconds, integers of this size are days of 1970 to 1973; as seconds, they are days of our time. */
const SECONDS = { from: 10 ** 8, below: 10 ** 11 };

export const TIME_TEXT = 'Milliseconds since 1970-01-01 UTC, or ISO 8601 with a time zone';

export const time = z.string().transform((text, context) => {
  const ms = timeOfText(text);
  if (typeof ms === 'number') return ms;
  context.addIssue({ code: 'custom', message: ms.problem });
  return z.NEVER;
});

function timeOfText(text: string): number | { problem: string } {
  if (/^-?\d{1,16}$/.test(text)) {
    const ms = Number(text);
    if (ms >= SECONDS.from && ms < SECONDS.below) {
      return { problem: `${text} looks like seconds; give milliseconds, or ISO 8601` };
    }
    return Math.abs(ms) <= MAX_TIMESTAMP_MS ? ms : { problem: `${text} is beyond what a date can say` };
  }
  // A + that was not percent-encoded arrives as a space.
  const ms = timeOf(text.replace(/ (\d\d:\d\d)$/, '+$1'));
  return ms ?? { problem: noTime(text) };
}
