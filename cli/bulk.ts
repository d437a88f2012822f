import type { Outcome } from '../proto/calls.js';
import {
  asTallyringError,
  type ErrorCode,
  type ErrorData,
  errorToData,
  TallyringError,
} from '../proto/errors.js';
import { getJson, statsJson } from './answers.js';
import { type NumberedLine, type Parsed, parseGetLine, parseStatsLine } from './bulk-request.js';
import { type Contact, withContact } from './contact.js';
import { type GetOptions, getContact, levelOf, type StatsOptions, windowOf } from './counters.js';
import type { Environment, OperatorConnection } from './environment.js';
import { EXIT, type ExitCode, exitOf } from './exit.js';
import { parseTime } from './format.js';
import { isBlank, type Line, linesOf } from './lines.js';

/** `get -` and `stats -`: a JSON line in, a JSON line out, in order; blank lines are skipped. */

/** Requests of one call, and calls on their way: enough to keep three nodes busy, little enough to stay in memory. */
const GET_GROUP = 500;
const STATS_GROUP = 32;
const GROUPS_IN_FLIGHT = 8;

interface Bulk<Q, A> {
  groupSize: number;
  parse(line: NumberedLine): Parsed<Q>;
  ask(node: OperatorConnection, queries: readonly Q[]): Promise<Outcome<A>[]>;
  render(query: Q, answer: A): object;
}

export async function bulkGet(environment: Environment, options: GetOptions): Promise<ExitCode> {
  const { granularity } = windowOf(environment, { ...options, at: undefined });
  const timestampMs = options.at === undefined ? environment.nowMs() : parseTime('--at', options.at);
  const level = levelOf(options);
  return withContact(environment, await getContact(environment, options), (contact) => {
    const call = { timeoutMs: contact.timeoutMs };
    return runBulk(environment, contact, {
      groupSize: GET_GROUP,
      parse: (line) => parseGetLine(line, { granularity, timestampMs }),
      ask: (node, queries) => (options.local ? node.getLocal(queries, call) : node.get(queries, level, call)),
      render: getJson,
    });
  });
}

export async function bulkStats(environment: Environment, options: StatsOptions): Promise<ExitCode> {
  const fill = options.fill === true;
  const level = levelOf(options);
  const { from: start, to: end, granularity } = options;
  return withContact(environment, options, (contact) => {
    const call = { timeoutMs: contact.timeoutMs };
    return runBulk(environment, contact, {
      groupSize: STATS_GROUP,
      parse: (line) => parseStatsLine(line, { start, end, granularity, fill }),
      ask: (node, queries) => node.stats(queries, level, call),
      render: (query, answer) => statsJson(query, answer, fill),
    });
  });
}

interface Tally {
  answered: number;
  /** Worst exit code among the lines that failed. */
  failure: ExitCode;
}

/** Exit code: 0 all answered, 1 some, else why none was. */
async function runBulk<Q, A>(
  environment: Environment,
  contact: Contact,
  bulk: Bulk<Q, A>,
): Promise<ExitCode> {
  const tally: Tally = { answered: 0, failure: EXIT.done };
  const flying: Promise<string>[] = [];
  const writeOldest = async () => environment.stdout.write(await flying.shift()!);
  let number = 0;
  const numbered = (line: Line): NumberedLine => ({ line, number: ++number });
  for await (const all of linesOf(environment.stdin)) {
    const lines = all.map(numbered).filter(({ line }) => !isBlank(line));
    for (let from = 0; from < lines.length; from += bulk.groupSize) {
      const group = lines.slice(from, from + bulk.groupSize).map(bulk.parse);
      flying.push(answerGroup(contact, bulk, { group, tally }));
      if (flying.length >= GROUPS_IN_FLIGHT) await writeOldest();
    }
  }
  while (flying.length > 0) await writeOldest();
  if (tally.failure === EXIT.done) return EXIT.done;
  return tally.answered > 0 ? EXIT.partly : tally.failure;
}

async function answerGroup<Q, A>(
  contact: Contact,
  bulk: Bulk<Q, A>,
  work: { group: Parsed<Q>[]; tally: Tally },
): Promise<string> {
  const { group, tally } = work;
  const queries: Q[] = [];
  for (const parsed of group) if ('query' in parsed) queries.push(parsed.query);
  const outcomes = await askAll(contact, bulk, queries);
  let text = '';
  let next = 0;
  for (const parsed of group) {
    const rendered =
      'query' in parsed ? renderOutcome(bulk, parsed.query, outcomes[next++]) : { error: parsed.error };
    if ('error' in rendered) {
      tally.failure = Math.max(tally.failure, exitOf(rendered.error)) as ExitCode;
      const { code, message } = rendered.error;
      text += `${JSON.stringify({ ...parsed.origin, error: { code, message } })}\n`;
    } else {
      tally.answered++;
      text += `${JSON.stringify(rendered.json)}\n`;
    }
  }
  return text;
}

function renderOutcome<Q, A>(
  bulk: Bulk<Q, A>,
  query: Q,
  outcome: Outcome<A> | undefined,
): { json: object } | { error: ErrorData | TallyringError } {
  if (outcome === undefined) return { error: new TallyringError('INTERNAL', 'the node sent no answer') };
  if ('error' in outcome) return { error: outcome.error };
  try {
    return { json: bulk.render(query, outcome.ok) };
  } catch (error) {
    return { error: asTallyringError(error) };
  }
}

/** Codes with which a node refuses a whole call because there is too much in it. */
const TOO_MUCH: readonly ErrorCode[] = ['INVALID_ARGUMENT', 'OVERLOADED'];

/** One outcome per query, whatever happens: a call that fails as a whole is one error for each of its lines. */
async function askAll<Q, A>(
  contact: Contact,
  bulk: Bulk<Q, A>,
  queries: readonly Q[],
): Promise<Outcome<A>[]> {
  if (queries.length === 0) return [];
  try {
    return await contact.call((node) => bulk.ask(node, queries));
  } catch (thrown) {
    const error = asTallyringError(thrown);
    if (queries.length > 1 && TOO_MUCH.includes(error.code)) {
      // Refused alone for the same reason, it is not the number (the level cannot be met, say).
      const [alone] = await askAll(contact, bulk, queries.slice(0, 1));
      if (alone === undefined || !('error' in alone) || alone.error.message !== error.message) {
        const half = queries.length >> 1;
        const first = await askAll(contact, bulk, queries.slice(0, half));
        return [...first, ...(await askAll(contact, bulk, queries.slice(half)))];
      }
    }
    return queries.map(() => ({ error: errorToData(error) }));
  }
}
