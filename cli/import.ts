import { setTimeout as sleep } from 'node:timers/promises';
import { asTallyringError } from '../proto/errors.js';
import { addressesOf, type CommonOptions } from './contact.js';
import { type LevelOption, levelOf } from './counters.js';
import type { Environment, EventSink } from './environment.js';
import { EXIT, type ExitCode } from './exit.js';
import { formatCount, formatDuration, parsePositive } from './format.js';
import { parseEventLine, Rejections } from './import-line.js';
import { openSource, type Source } from './import-source.js';
import { linesOf } from './lines.js';
import { createPace } from './pace.js';
import { createProgress, type Progress } from './progress.js';

/** `import FILE`: counts a file's events through the SDK. */

export interface ImportOptions extends CommonOptions, LevelOption {
  rate?: string;
  datacenter?: string;
}

const REJECTIONS_SHOWN = 10;
/** Distinct keys are counted up to here; beyond it the summary says "over". */
const MAX_KEYS_COUNTED = 2_000_000;

interface Work {
  environment: Environment;
  source: Source;
  sink: EventSink;
  progress: Progress;
  rate: number | undefined;
  startedMs: number;
  events: number;
  lines: number;
  keys: Set<string>;
  rejections: Rejections;
  interrupted: boolean;
  /** Ends the wait for the pace. */
  abort: AbortController;
}

export async function importFile(
  environment: Environment,
  file: string,
  options: ImportOptions,
): Promise<ExitCode> {
  const rate = options.rate === undefined ? undefined : parsePositive('--rate', options.rate);
  const consistency = levelOf(options);
  const contactPoints = await addressesOf(environment, options);
  const source = openSource(environment, file);
  const progress = createProgress(environment);
  const sink = await environment.openSink({
    contactPoints,
    localDatacenter: options.datacenter,
    consistency,
    onNode: (nodeId, up) => progress.note(`node ${nodeId} is ${up ? 'up again' : 'down; counting goes on'}`),
  });
  const work: Work = {
    environment,
    source,
    sink,
    progress,
    rate,
    startedMs: performance.now(),
    events: 0,
    lines: 0,
    keys: new Set(),
    rejections: new Rejections(REJECTIONS_SHOWN),
    interrupted: false,
    abort: new AbortController(),
  };
  return finish(work, options);
}

async function finish(work: Work, options: ImportOptions): Promise<ExitCode> {
  const { environment, sink, progress } = work;
  const stopListening = environment.onInterrupt(() => {
    work.interrupted = true;
    work.abort.abort();
    work.source.stop();
  });
  let broken: unknown;
  let unacknowledged: unknown;
  try {
    await countAll(work).catch((error: unknown) => {
      // Stopping the source breaks the reading off.
      if (!work.interrupted) broken = error;
    });
    // Whatever was taken is counted, however the reading ended.
    if (work.interrupted) progress.note('interrupted: flushing what was taken …');
    await flushAll(work).catch((error: unknown) => {
      unacknowledged = error;
    });
  } finally {
    await sink.close().catch((error: unknown) => {
      unacknowledged ??= error;
    });
    stopListening();
    progress.end();
  }
  await environment.stdout.write(
    options.json
      ? `${JSON.stringify(summaryJson(work, broken, unacknowledged))}\n`
      : summaryText(work, broken, unacknowledged),
  );
  if (unacknowledged !== undefined) return EXIT.inDoubt;
  return work.interrupted || broken !== undefined || work.rejections.total > 0 ? EXIT.partly : EXIT.done;
}

/** Waits for the acknowledgement of everything taken, however long the cluster needs; after an interruption once. */
async function flushAll(work: Work): Promise<void> {
  for (;;) {
    try {
      return await work.sink.flush();
    } catch (thrown) {
      const error = asTallyringError(thrown);
      if (error.code !== 'PENDING' || work.interrupted) throw error;
      work.progress.note('not all acknowledged yet, still trying (Ctrl-C gives up)');
    }
  }
}

async function countAll(work: Work): Promise<void> {
  const pace = createPace(work.rate);
  let untilLook = 0;
  for await (const lines of linesOf(work.source.chunks)) {
    const nowMs = work.environment.nowMs();
    for (const line of lines) {
      if (--untilLook <= 0) {
        untilLook = pace.burst;
        await keepPace(work, pace.waitMs(work.events, performance.now() - work.startedMs));
      }
      if (work.interrupted) return;
      work.lines++;
      if (typeof line === 'string' && line.trim() === '') continue;
      const parsed = parseEventLine(line, nowMs);
      if ('rejected' in parsed) {
        work.rejections.add(work.lines, parsed.rejected);
        continue;
      }
      try {
        const full = work.sink.count(parsed.event);
        if (full !== undefined) await waitWhileFull(work, full);
      } catch (error) {
        rejectOrThrow(work, error);
        continue;
      }
      work.events++;
      if (work.keys.size < MAX_KEYS_COUNTED) work.keys.add(parsed.event.key);
    }
  }
}

/** Keeps the progress moving while the cluster does not keep up. */
async function waitWhileFull(work: Work, full: Promise<void>): Promise<void> {
  report(work);
  const timer = setInterval(() => report(work), 200);
  try {
    await full;
  } finally {
    clearInterval(timer);
  }
}

/** What is wrong with the event itself rejects its line; everything else ends the import. */
function rejectOrThrow(work: Work, thrown: unknown): void {
  const error = asTallyringError(thrown);
  if (error.code !== 'INVALID_ARGUMENT' && error.code !== 'OUT_OF_RANGE') throw error;
  const kind = error.code === 'OUT_OF_RANGE' ? 'sum leaves int64' : 'refused';
  work.rejections.add(work.lines, { kind, message: error.message });
}

async function keepPace(work: Work, waitMs: number): Promise<void> {
  let left = waitMs;
  while (left > 0 && !work.interrupted) {
    const slice = Math.min(left, 200);
    await sleep(slice, undefined, { signal: work.abort.signal }).catch(() => {});
    left -= slice;
    report(work);
  }
  report(work);
}

function report(work: Work): void {
  const { source, events, rejections, startedMs } = work;
  work.progress.update({
    events,
    rejected: rejections.total,
    elapsedMs: performance.now() - startedMs,
    bytesRead: source.bytesRead(),
    totalBytes: source.totalBytes,
  });
}

function brokenText(broken: unknown): string {
  const error = broken as NodeJS.ErrnoException;
  if (error.code === 'Z_BUF_ERROR') return 'the gzip file is cut off: its end is missing';
  if (error.code?.startsWith('Z_') === true) return `the gzip file is damaged: ${error.message}`;
  return error.message;
}

function summaryJson(work: Work, broken: unknown, unacknowledged: unknown) {
  const { events, lines, keys, rejections, interrupted, startedMs } = work;
  const elapsedMs = Math.round(performance.now() - startedMs);
  return {
    events,
    keys: keys.size,
    lines,
    rejected: rejections.total,
    reasons: Object.fromEntries(rejections.byKind),
    firstRejected: rejections.first,
    interrupted,
    elapsedMs,
    eventsPerSecond: Math.round((events / Math.max(1, elapsedMs)) * 1000),
    ...(broken !== undefined && { broken: brokenText(broken) }),
    ...(unacknowledged !== undefined && { unacknowledged: asTallyringError(unacknowledged).message }),
  };
}

function summaryText(work: Work, broken: unknown, unacknowledged: unknown): string {
  const { events, keys, rejections, startedMs, lines } = work;
  const elapsedMs = performance.now() - startedMs;
  const over = keys.size >= MAX_KEYS_COUNTED ? 'over ' : '';
  const out: string[] = [];
  const counted = unacknowledged === undefined ? 'counted' : 'took';
  const perSecond = formatCount(Math.round((events / Math.max(1, elapsedMs)) * 1000));
  out.push(
    `${counted} ${formatCount(events)} events of ${over}${formatCount(keys.size)} keys in ${formatDuration(elapsedMs)} (${perSecond} events/s)`,
  );
  if (rejections.total > 0) {
    const kinds = [...rejections.byKind].map(([kind, count]) => `${formatCount(count)} ${kind}`).join(', ');
    out.push(`rejected ${formatCount(rejections.total)} lines: ${kinds}`);
    for (const { line, message } of rejections.first) out.push(`  line ${line}: ${message}`);
    if (rejections.total > rejections.first.length)
      out.push(`  … and ${formatCount(rejections.total - rejections.first.length)} more`);
  }
  if (broken !== undefined) out.push(`stopped reading: ${brokenText(broken)}`);
  if (work.interrupted || broken !== undefined) {
    out.push(
      `got as far as line ${formatCount(lines)}; everything before it was counted, and a rerun counts it again`,
    );
  }
  if (unacknowledged !== undefined) out.push(`IN DOUBT: ${asTallyringError(unacknowledged).message}`);
  return `${out.join('\n')}\n`;
}
