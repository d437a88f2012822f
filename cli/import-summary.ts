import { asTallyringError } from '../proto/errors.js';
import { commandLine } from './command-line.js';
import type { Environment } from './environment.js';
import { formatCount, formatDuration, plural } from './format.js';
import type { Rejections } from './import-line.js';
import type { ViaLogOptions } from './import-via-log.js';

/** What `import` says at its end. Pure. */
export interface Summary {
  events: number;
  keys: number;
  /** There are more keys than were told apart. */
  isOverKeys: boolean;
  lines: number;
  rejections: Rejections;
  interrupted: boolean;
  elapsedMs: number;
  /** Why reading ended early. */
  broken: unknown;
  /** Why not everything taken is known to be counted. */
  unacknowledged: unknown;
  /** Where to go on, when the end was not reached. */
  next?: { line: number; command: string };
  /** The line to start at, when the file has not that many. */
  missing?: number;
  /** What holds for whoever sends the same again; of events that went through the log. */
  rerun?: string;
}

/** The command that counts the rest of a file: this one, from another line. */
export function goOnCommand(
  environment: Environment,
  { file, nextLine }: { file: string; nextLine: number },
  options: ViaLogOptions & { consistency?: string; rate?: string },
): string {
  const words = ['import', file, '--from-line', String(nextLine)];
  const { contact = options.host, via, url, rate, datacenter, consistency, timeout } = options;
  for (const [name, value] of Object.entries({
    contact,
    via,
    url,
    rate,
    datacenter,
    consistency,
    timeout,
  })) {
    if (value !== undefined && value !== 'QUORUM') words.push(`--${name}`, value);
  }
  if (options.json === true) words.push('--json');
  return commandLine(environment, words, { config: options.config });
}

function brokenText(broken: unknown): string {
  const error = broken as NodeJS.ErrnoException;
  if (error.code === 'Z_BUF_ERROR') return 'the gzip file is cut off: its end is missing';
  if (error.code?.startsWith('Z_') === true) return `the gzip file is damaged: ${error.message}`;
  return error.message;
}

function perSecond({ events, elapsedMs }: Summary): number {
  return Math.round((events / Math.max(1, elapsedMs)) * 1000);
}

export function summaryJson(summary: Summary) {
  const { events, keys, lines, rejections, interrupted, elapsedMs, broken, unacknowledged, next } = summary;
  return {
    events,
    keys,
    lines,
    rejected: rejections.total,
    reasons: Object.fromEntries(rejections.byKind),
    firstRejected: rejections.first,
    interrupted,
    elapsedMs: Math.round(elapsedMs),
    eventsPerSecond: perSecond(summary),
    ...(broken !== undefined && { broken: brokenText(broken) }),
    ...(unacknowledged !== undefined && { unacknowledged: asTallyringError(unacknowledged).message }),
    ...(summary.rerun !== undefined && { rerun: summary.rerun }),
    ...(next !== undefined && { nextLine: next.line, goOn: next.command }),
  };
}

export function summaryText(summary: Summary): string {
  const { events, keys, rejections, elapsedMs, lines, broken, unacknowledged, next, missing, rerun } =
    summary;
  const out: string[] = [];
  const isSure = unacknowledged === undefined;
  const ofKeys = `${summary.isOverKeys ? 'over ' : ''}${plural(keys, 'key')}`;
  const done = rerun === undefined ? 'counted' : 'the log has';
  out.push(
    `${isSure ? done : 'took'} ${plural(events, 'event')} of ${ofKeys} in ${formatDuration(elapsedMs)} (${formatCount(perSecond(summary))} events/s)`,
  );
  if (rejections.total > 0) {
    const kinds = [...rejections.byKind].map(([kind, count]) => `${formatCount(count)} ${kind}`).join(', ');
    out.push(`rejected ${plural(rejections.total, 'line')}: ${kinds}`);
    for (const { line, message } of rejections.first) out.push(`  line ${line}: ${message}`);
    if (rejections.total > rejections.first.length)
      out.push(`  … and ${formatCount(rejections.total - rejections.first.length)} more`);
  }
  if (broken !== undefined) out.push(`stopped reading: ${brokenText(broken)}`);
  if (missing !== undefined)
    out.push(`nothing to count: line ${formatCount(missing)} is beyond the end (${plural(lines, 'line')})`);
  if (unacknowledged !== undefined) out.push(`IN DOUBT: ${asTallyringError(unacknowledged).message}`);
  if (next !== undefined) {
    const before = isSure ? 'everything up to there was counted' : 'what is in doubt lies before there';
    const again = rerun === undefined ? ', and a rerun from the start counts it again' : '';
    out.push(
      `got as far as line ${formatCount(next.line - 1)}; ${before}${again}. Go on with:`,
      `  ${next.command}`,
    );
  }
  if (rerun !== undefined && events > 0) out.push(rerun);
  return `${out.join('\n')}\n`;
}
