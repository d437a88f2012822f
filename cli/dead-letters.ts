import { fieldsOf } from '../services/event.js';
import type { StoredDeadLetter } from '../services/log/dead-letters.js';
import type { LogPlace } from '../services/log/open-log.js';
import { type ReplayOutcome, replay } from '../services/processing/replay.js';
import { type CommonOptions, parseAddress, timeoutOf } from './contact.js';
import { lettersAfter, lettersOf, parseLetterKey, type Wanted } from './dead-letter-pages.js';
import type { Environment, LogConnection } from './environment.js';
import { EXIT, type ExitCode, usage } from './exit.js';
import { formatCount, isoTime, parsePositive, plural, table } from './format.js';

/** `tallyring deadletter list` and `replay`: events that the log holds and that do not count. */

export interface DeadLetterOptions extends CommonOptions {
  /** host:port of the log. */
  log?: string;
  reason?: string;
  limit?: string;
  all?: boolean;
  set?: string[];
}

const DEFAULT_LIMIT = 100;
const SHOWN_MESSAGE = 60;
const SHOWN_EVENT = 120;
const AT_A_TIME = 32;

export async function listDeadLetters(
  environment: Environment,
  options: DeadLetterOptions,
): Promise<ExitCode> {
  const limit =
    options.limit === undefined ? DEFAULT_LIMIT : Math.floor(parsePositive('--limit', options.limit));
  const call = { timeoutMs: timeoutOf(options) };
  return withLog(environment, options, async ({ deadLetters }) => {
    const letters: StoredDeadLetter[] = [];
    let isMore = false;
    for await (const letter of lettersAfter(deadLetters, { reason: options.reason, call })) {
      isMore = letters.length === limit;
      if (isMore) break;
      letters.push(letter);
    }
    const text = options.json
      ? letters.map((letter) => `${JSON.stringify(letterJson(letter))}\n`).join('')
      : listText(letters, isMore);
    await environment.stdout.write(text);
    return EXIT.done;
  });
}

export async function replayDeadLetters(
  environment: Environment,
  keys: readonly string[],
  options: DeadLetterOptions,
): Promise<ExitCode> {
  if (keys.length > 0 === (options.all === true))
    throw usage('name the dead letters (PARTITION:OFFSET, as deadletter list shows them), or say --all');
  const wanted: Wanted =
    options.all === true ? { reason: options.reason } : { keys: keys.map(parseLetterKey) };
  const changes = changesOf(options.set ?? []);
  const call = { timeoutMs: timeoutOf(options) };
  return withLog(environment, options, async ({ log, deadLetters }) => {
    const parts = { log, deadLetters, changes, nowMs: environment.nowMs(), call };
    const counts = new Map<ReplayOutcome['outcome'], number>();
    for await (const group of inGroups(lettersOf(deadLetters, wanted, call))) {
      const outcomes = await Promise.all(group.map((letter) => replay(letter, parts)));
      for (const outcome of outcomes) {
        counts.set(outcome.outcome, (counts.get(outcome.outcome) ?? 0) + 1);
        await environment.stdout.write(outcomeLine(outcome, options));
      }
    }
    if (options.json !== true) await environment.stdout.write(`${countsText(counts)}\n`);
    if (counts.has('in doubt')) return EXIT.inDoubt;
    return counts.has('refused') || counts.has('failed') ? EXIT.partly : EXIT.done;
  });
}

async function withLog(
  environment: Environment,
  options: DeadLetterOptions,
  act: (log: LogConnection) => Promise<ExitCode>,
): Promise<ExitCode> {
  const connection = await environment.openLog(await logPlace(environment, options), timeoutOf(options));
  try {
    return await act(connection);
  } finally {
    await connection.log.close();
  }
}

/** --log, else that of cluster.yml. */
async function logPlace(environment: Environment, options: DeadLetterOptions): Promise<LogPlace> {
  if (options.log !== undefined) return { address: parseAddress(options.log) };
  const { configsOf, logPlaceOf } = await import('./service-verbs.js');
  return logPlaceOf((await configsOf(environment, options)).services);
}

const CHANGEABLE = ['videoId', 'eventType', 'timestamp', 'value'];

/** Of `--set field=value`. Throws INVALID_ARGUMENT. */
function changesOf(texts: readonly string[]): Record<string, unknown> {
  const changes = texts.map((text): [string, unknown] => {
    const at = text.indexOf('=');
    const [field, value] = [text.slice(0, at), text.slice(at + 1)];
    if (at < 1 || !CHANGEABLE.includes(field))
      throw usage(
        `--set ${JSON.stringify(text)} must be field=value, the field one of ${CHANGEABLE.join(', ')}`,
      );
    return [field, field === 'value' && /^-?\d+$/.test(value) ? Number(value) : value];
  });
  return Object.fromEntries(changes);
}

async function* inGroups(letters: AsyncIterable<StoredDeadLetter>): AsyncGenerator<StoredDeadLetter[]> {
  let group: StoredDeadLetter[] = [];
  for await (const letter of letters) {
    group.push(letter);
    if (group.length < AT_A_TIME) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

function keyText({ partition, offset }: { partition: number; offset: number }): string {
  return `${partition}:${offset}`;
}

function letterJson(letter: StoredDeadLetter) {
  const { partition, offset, appendedAtMs, reason, message, payload, replay } = letter;
  return {
    key: keyText(letter),
    partition,
    offset,
    appendedAt: isoTime(appendedAtMs),
    reason,
    message,
    replay: replay?.state ?? null,
    event: fieldsOf(payload),
    payload: payload.toString('base64'),
  };
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

function listText(letters: readonly StoredDeadLetter[], isMore: boolean): string {
  if (letters.length === 0) return 'no dead letters\n';
  const rows = letters.map((letter) => {
    const { appendedAtMs, reason, message, payload, replay } = letter;
    const { recordId: _, ...fields } = fieldsOf(payload);
    const isReadable = Object.keys(fields).length > 0;
    const event = isReadable
      ? JSON.stringify(fields)
      : `${formatCount(payload.length)} bytes: ${payload.subarray(0, 16).toString('hex')}`;
    const state = replay === undefined ? '' : replay.state === 'done' ? 'replayed' : 'began';
    return [
      keyText(letter),
      isoTime(appendedAtMs),
      reason,
      state,
      cut(message, SHOWN_MESSAGE),
      cut(event, SHOWN_EVENT),
    ];
  });
  const text = table([['key', 'appended', 'reason', 'replay', 'message', 'event'], ...rows]);
  return isMore ? `${text}… and more; --limit shows so many\n` : text;
}

function outcomeLine(outcome: ReplayOutcome, { json }: DeadLetterOptions): string {
  if (json === true) return `${JSON.stringify({ key: keyText(outcome), ...outcome })}\n`;
  const { outcome: what, message } = outcome;
  // Of many that went well a line each would hide the others.
  if (what === 'replayed' || what === 'before') return '';
  return `${keyText(outcome)}  ${what}${message === undefined ? '' : `: ${message}`}\n`;
}

const WORDS: Record<ReplayOutcome['outcome'], string> = {
  replayed: 'replayed',
  found: 'found in the log from an earlier replay',
  before: 'replayed before',
  refused: 'cannot count as they are (--set field=value corrects)',
  failed: 'failed: nothing of them was appended',
  'in doubt': 'in doubt: replay them again',
};

function countsText(counts: ReadonlyMap<ReplayOutcome['outcome'], number>): string {
  if (counts.size === 0) return 'no dead letters';
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const parts = [...counts].map(([outcome, count]) => `${formatCount(count)} ${WORDS[outcome]}`);
  return `${plural(total, 'dead letter')}: ${parts.join(', ')}`;
}
