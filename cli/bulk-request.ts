import { checkEventType, checkKey } from '../counter/validate.js';
import type { CellQuery, StatsQuery } from '../proto/calls.js';
import { asTallyringError, type TallyringError } from '../proto/errors.js';
import { checkFill } from './answers.js';
import { usage } from './exit.js';
import { parseGranularity, parseTime } from './format.js';
import type { Line } from './lines.js';

/** One request of `get -` or `stats -`, or why the line is none. */
export type Parsed<Q> = { query: Q } | { error: TallyringError };

type Window = Pick<CellQuery, 'granularity' | 'timestampMs'>;

/** A line's JSON object, with no fields but those named. Throws INVALID_ARGUMENT. */
function fieldsOf(line: Line, allowed: readonly string[]): Record<string, unknown> {
  if (typeof line !== 'string') throw usage(line.unreadable);
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw usage(`not JSON: ${(error as Error).message}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw usage(`a line must be one JSON object with the fields ${allowed.join(', ')}`);
  }
  for (const name of Object.keys(value)) {
    if (!allowed.includes(name))
      throw usage(`unknown field ${JSON.stringify(name)}; allowed: ${allowed.join(', ')}`);
  }
  return value as Record<string, unknown>;
}

function attempt<Q>(parse: () => Q): Parsed<Q> {
  try {
    return { query: parse() };
  } catch (error) {
    return { error: asTallyringError(error) };
  }
}

/** `{key, eventType}`; `window` is what the command line asks of every cell. */
export function parseGetLine(line: Line, window: Window): Parsed<CellQuery> {
  return attempt(() => {
    const { key, eventType } = fieldsOf(line, ['key', 'eventType']);
    return { key: checkKey(key), eventType: checkEventType(eventType), ...window };
  });
}

/** Stands in for what a line does not say. */
export interface StatsDefaults {
  start?: string | undefined;
  end?: string | undefined;
  granularity?: string | undefined;
  fill: boolean;
}

/** `{key, eventType, start, end, granularity}`. */
export function parseStatsLine(line: Line, defaults: StatsDefaults): Parsed<StatsQuery> {
  return attempt(() => {
    const fields = fieldsOf(line, ['key', 'eventType', 'start', 'end', 'granularity']);
    const { start = defaults.start, end = defaults.end, granularity = defaults.granularity } = fields;
    if (start === undefined || end === undefined)
      throw usage('start and end are needed: ISO 8601 or epoch milliseconds');
    const query: StatsQuery = {
      key: checkKey(fields.key),
      eventType: checkEventType(fields.eventType),
      startMs: parseTime('start', start),
      endMs: parseTime('end', end),
      granularity:
        granularity === undefined || granularity === null ? undefined : parseGranularity(granularity),
    };
    if (query.endMs <= query.startMs) throw usage('end must lie after start');
    if (defaults.fill) checkFill(query.granularity, query.startMs, query.endMs);
    return query;
  });
}
