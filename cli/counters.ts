import type { Int64 } from '../counter/int64.js';
import { checkEventType, checkKey, checkTimestamp } from '../counter/validate.js';
import type { CellQuery, Outcome, StatsQuery } from '../proto/calls.js';
import { asTallyringError, errorFromData, TallyringError } from '../proto/errors.js';
import { checkFill, getJson, statsJson, statsText, valueText } from './answers.js';
import { type CommonOptions, withContact } from './contact.js';
import type { Environment } from './environment.js';
import { EXIT, type ExitCode, usage } from './exit.js';
import { formatCount, parseGranularity, parseInt64, parseLevel, parseTime } from './format.js';
import { narrowed } from './operator.js';

/** `inc`, `get KEY TYPE` and `stats KEY TYPE`: one call each. */

export interface LevelOption {
  consistency?: string;
}

export function levelOf(options: LevelOption) {
  return parseLevel(options.consistency ?? 'QUORUM');
}

function only<T>(outcomes: readonly Outcome<T>[]): T {
  const outcome = outcomes[0];
  if (outcome === undefined) throw new TallyringError('INTERNAL', 'the node sent no answer');
  if ('error' in outcome) throw errorFromData(outcome.error);
  return outcome.ok;
}

export async function increment(
  environment: Environment,
  cell: { key: string; eventType: string },
  options: CommonOptions & LevelOption & { by?: string; at?: string },
): Promise<ExitCode> {
  const key = checkKey(cell.key);
  const eventType = checkEventType(cell.eventType);
  const value = options.by === undefined ? 1 : parseInt64('--by', options.by);
  const timestampMs =
    options.at === undefined ? undefined : checkTimestamp(parseTime('--at', options.at), environment.nowMs());
  const level = levelOf(options);
  return withContact(environment, options, async (contact) => {
    const requests = [{ key, eventType, value, timestampMs }];
    await contact.call(async (node) => {
      // Only what fails from here on may have been applied.
      const outcomes = await node
        .increment(requests, level, { timeoutMs: contact.timeoutMs })
        .catch(doubtful);
      return only(outcomes);
    });
    const json = { key, eventType, by: typeof value === 'number' ? value : value.toString(), counted: true };
    await environment.stdout.write(
      options.json ? `${JSON.stringify(json)}\n` : `counted 1 ${eventType}${ofValue(value)} for ${key}\n`,
    );
    return EXIT.done;
  });
}

/** An event counts as one, whatever its value. */
function ofValue(value: Int64): string {
  return value === 1 ? '' : ` of value ${formatCount(value)}`;
}

/** An increment that failed in an unknown way may have been applied: say so rather than invite a second one. */
function doubtful(error: unknown): never {
  const known = asTallyringError(error);
  if (known.code !== 'INTERNAL' || known.mayHaveApplied) throw known;
  throw new TallyringError('INTERNAL', known.message, { cause: error, mayHaveApplied: true });
}

export interface GetOptions extends CommonOptions, LevelOption {
  granularity?: string;
  at?: string;
  node?: string;
  local?: boolean;
}

/** What get's options ask of every cell. Throws INVALID_ARGUMENT. */
export function windowOf(
  environment: Environment,
  options: GetOptions,
): Pick<CellQuery, 'granularity' | 'timestampMs'> {
  const granularity = options.granularity === undefined ? undefined : parseGranularity(options.granularity);
  const timestampMs = options.at === undefined ? environment.nowMs() : parseTime('--at', options.at);
  if (granularity === undefined || granularity === 'total') {
    if (options.at !== undefined)
      throw usage('--at names a window: give --granularity day, hour or minute with it');
    return {};
  }
  return { granularity, timestampMs };
}

/** The options with the contact that --node and --local mean. Throws INVALID_ARGUMENT. */
export function getContact(environment: Environment, options: GetOptions): Promise<GetOptions> {
  if (
    options.local === true &&
    options.node === undefined &&
    options.contact === undefined &&
    options.host === undefined
  ) {
    throw usage('--local reads what one replica alone holds: say which with --node N');
  }
  return narrowed(environment, options);
}

export async function get(
  environment: Environment,
  cell: { key: string; eventType: string },
  options: GetOptions,
): Promise<ExitCode> {
  const query: CellQuery = {
    key: checkKey(cell.key),
    eventType: checkEventType(cell.eventType),
    ...windowOf(environment, options),
  };
  const level = levelOf(options);
  return withContact(environment, await getContact(environment, options), async (contact) => {
    const call = { timeoutMs: contact.timeoutMs };
    const value = await contact.call(async (node) =>
      only(await (options.local ? node.getLocal([query], call) : node.get([query], level, call))),
    );
    await environment.stdout.write(
      options.json ? `${JSON.stringify(getJson(query, value))}\n` : valueText(value),
    );
    return EXIT.done;
  });
}

export interface StatsOptions extends CommonOptions, LevelOption {
  from?: string;
  to?: string;
  granularity?: string;
  fill?: boolean;
}

export async function stats(
  environment: Environment,
  cell: { key: string; eventType: string },
  options: StatsOptions,
): Promise<ExitCode> {
  if (options.from === undefined) throw usage('stats needs --from TIME (and --to TIME; now when absent)');
  const query: StatsQuery = {
    key: checkKey(cell.key),
    eventType: checkEventType(cell.eventType),
    startMs: parseTime('--from', options.from),
    endMs: options.to === undefined ? environment.nowMs() : parseTime('--to', options.to),
    granularity: options.granularity === undefined ? undefined : parseGranularity(options.granularity),
  };
  const fill = options.fill === true;
  if (fill) checkFill(query.granularity, query.startMs, query.endMs);
  const level = levelOf(options);
  return withContact(environment, options, async (contact) => {
    const answer = await contact.call(async (node) =>
      only(await node.stats([query], level, { timeoutMs: contact.timeoutMs })),
    );
    await environment.stdout.write(
      options.json ? `${JSON.stringify(statsJson(query, answer, fill))}\n` : statsText(answer, fill),
    );
    return EXIT.done;
  });
}
