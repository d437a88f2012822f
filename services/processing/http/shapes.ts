import { z } from 'zod';
import type { RouteShape } from '../../http/routes.js';
import {
  type EVENT_FIELDS,
  MAX_ATTRIBUTES,
  MAX_ATTRIBUTES_BYTES,
  MAX_EVENT_ID_BYTES,
} from './event-input.js';
import type { IntakeHeaders } from './intake.js';

/** The routes of the write side, as the server checks them and the OpenAPI document tells of them. */

/** Of an event: it is checked by hand (event-input.ts), so this only describes. */
const eventSchema = z.unknown().meta({
  type: 'object',
  required: ['videoId', 'eventType'],
  additionalProperties: false,
  properties: {
    eventId: {
      type: 'string',
      minLength: 1,
      description: `Names the event, so that a retry counts once; at most ${MAX_EVENT_ID_BYTES} bytes`,
    },
    videoId: { type: 'string', minLength: 1, description: 'What is counted; at most 1024 bytes' },
    eventType: {
      type: 'string',
      minLength: 1,
      description: 'What happened: view, like, watch_ms …; at most 128 bytes',
    },
    timestamp: {
      type: ['integer', 'string'],
      description:
        'When it happened: epoch milliseconds or ISO 8601 with a zone, from 2000 on and at most a day ahead; now when absent',
    },
    value: {
      type: 'integer',
      default: 1,
      minimum: -(2 ** 42),
      maximum: 2 ** 42,
      description: 'Is added to the sum; 1 when absent',
    },
    attributes: {
      type: 'object',
      maxProperties: MAX_ATTRIBUTES,
      additionalProperties: { type: ['string', 'number', 'boolean', 'null'] },
      description: `Kept in the log, not counted; at most ${MAX_ATTRIBUTES} scalars and ${MAX_ATTRIBUTES_BYTES} bytes`,
    },
  } satisfies Record<(typeof EVENT_FIELDS)[number], object>,
});

const acceptedSchema = z.object({
  accepted: z.int().describe('Events that the log has durably; each will be counted'),
  rejected: z
    .array(z.object({ index: z.int(), code: z.string(), message: z.string() }))
    .describe('Events that were not taken, by their index in the request'),
  mayCountTwice: z
    .boolean()
    .describe('Whether the same request, sent again, may count again: an accepted event had no id'),
  retry: z.enum(['counts once within dedupWindow', 'may count twice']),
  dedupWindow: z
    .int()
    .describe('A retry counts once while fewer records than this have come into its partition since'),
});

const headersSchema = z.object({
  'idempotency-key': z
    .string()
    .regex(/^[\x21-\x7e]{1,128}$/, 'must be 1 to 128 printable ASCII characters without spaces')
    .optional()
    .describe('Names the events that have no eventId, by their index in the request; 1 to 128 characters'),
});

const event = { eventId: 'e1', videoId: 'cats.mp4', eventType: 'watch_ms', value: 4200 };

const failures = {
  400: { description: 'The request is wrong in itself; nothing was taken' },
  413: { description: 'The body is too large; nothing was taken' },
  415: { description: 'The body is no JSON' },
  503: {
    description:
      'Overloaded, or the log is full or cannot be reached; `mayHaveApplied` says what is known, and the message what to do',
  },
  504: {
    description:
      'The log did not answer in time: the events may count. Sent again they count once if they are named',
  },
};

export function processEventsShape(maxEvents: number): RouteShape<undefined, EventsBody, IntakeHeaders> {
  return {
    method: 'POST',
    path: '/processEvents',
    summary: 'Count a list of events',
    description:
      'Answers once the log has all accepted events durably. Each event is judged alone: the answer is 200 even if all were rejected, and says which and why.',
    headers: headersSchema,
    body: z.strictObject({
      events: z
        .array(eventSchema)
        .max(maxEvents, `at most ${maxEvents} events a request (maxEventsPerRequest); send them in several`),
    }),
    examples: { body: { events: [event, { ...event, eventId: 'e2', value: 1800 }] } },
    answers: { 200: { description: 'What was taken, and what not', schema: acceptedSchema }, ...failures },
  };
}

export interface EventsBody {
  events: unknown[];
}

export const countEventShape: RouteShape<undefined, unknown, IntakeHeaders> = {
  method: 'POST',
  path: '/countEvent',
  summary: 'Count one event',
  description: 'As processEvents for one; an event that cannot be taken is answered with 400.',
  headers: headersSchema,
  body: eventSchema,
  examples: { body: event },
  answers: { 200: { description: 'The log has it durably', schema: acceptedSchema }, ...failures },
};

export interface VideoDescription {
  videoId: string;
  columns: Record<string, string | null>;
}

export const describeVideoShape: RouteShape<undefined, VideoDescription> = {
  method: 'POST',
  path: '/describeVideo',
  summary: "Set a video's descriptive columns: name, channel …",
  description:
    'Each column is last-writer-wins; null deletes one, and those that are not named stay. Answers once a quorum has them.',
  body: z.strictObject({
    videoId: z.string(),
    columns: z
      .record(z.string(), z.string().nullable())
      .refine((columns) => Object.keys(columns).length > 0, 'name at least one column'),
  }),
  examples: { body: { videoId: 'cats.mp4', columns: { name: 'Cats', channel: 'Animals' } } },
  answers: {
    200: { description: 'They are set', schema: z.object({ videoId: z.string(), columns: z.int() }) },
    400: failures[400],
    503: { description: 'Fewer nodes are live than a quorum needs; nothing was set' },
    504: { description: 'In doubt; sent again it does no harm' },
  },
};
