import { setTimeout as sleep } from 'node:timers/promises';
import { asTallyringError } from '../proto/errors.js';
import { addressesOf, withContact } from './contact.js';
import { type LevelOption, levelOf } from './counters.js';
import type { Environment, EventSink, SinkOptions } from './environment.js';
import { EXIT, type ExitCode, usage } from './exit.js';
import { parsePositive } from './format.js';
import { parseEventLine, Rejections } from './import-line.js';
import { openSource, type Source } from './import-source.js';
import { goOnCommand, type Summary, summaryJson, summaryText } from './import-summary.js';
import { isViaLog, openLogSink, rerunText, type ViaLogOptions } from './import-via-log.js';
import { isBlank, type Line, linesOf } from './lines.js';
import { LogSink } from './log-sink.js';
import { createPace } from './pace.js';
import { createProgress, type Progress } from './progress.js';

/** `import FILE`: counts a file's events through the SDK, or sends them through the log. */

export interface ImportOptions extends ViaLogOptions, LevelOption {
  rate?: string;
  /** Line of the unpacked file at which counting starts, from 1. */
  fromLine?: string;
}

const REJECTIONS_SHOWN = 10;
/** Distinct keys are counted up to here; beyond it the summary says "over". */
const MAX_KEYS_COUNTED = 2_000_000;
const FIRST_LINE = 1;

interface Work {
  environment: Environment;
  source: Source;
  sink: EventSink;
  progress: Progress;
  rate: number | undefined;
  startedMs: number;
  events: number;
  fromLine: number;
  /** Lines that are dealt with: passed over, counted or rejected. */
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
  const fromLine = parseFromLine(options.fromLine);
  const viaLog = isViaLog(options);
  const level = levelOf(options);
  const source = openSource(environment, file);
  const progress = createProgress(environment);
  const work: Omit<Work, 'sink'> = {
    environment,
    source,
    progress,
    rate,
    startedMs: performance.now(),
    events: 0,
    fromLine,
    lines: 0,
    keys: new Set(),
    rejections: new Rejections(REJECTIONS_SHOWN),
    interrupted: false,
    abort: new AbortController(),
  };
  const note = (text: string) => progress.note(text);
  const sink = viaLog
    ? await openLogSink(environment, { file, options }, { note, giveUp: work.abort.signal, onRejected })
    : await openSdkSink(environment, options, { level, note });
  work.startedMs = performance.now();
  return finish(Object.assign(work, { sink }), file, options);

  /** Told late, of an event that was taken for counted. */
  function onRejected(line: number, message: string): void {
    work.events--;
    work.rejections.add(line, { kind: 'refused by the service', message });
  }
}

function parseFromLine(text: string | undefined): number {
  if (text === undefined) return FIRST_LINE;
  const line = Number(text);
  if (!Number.isSafeInteger(line) || line < FIRST_LINE)
    throw usage(`--from-line ${JSON.stringify(text)} must be the number of a line, from 1`);
  return line;
}

/** When no node answers at all, says so as the other verbs do, not once per node. */
async function openSdkSink(
  environment: Environment,
  options: ImportOptions,
  { level, note }: { level: SinkOptions['consistency']; note(text: string): void },
): Promise<EventSink> {
  const contactPoints = await addressesOf(environment, options);
  const onNode = (nodeId: string, up: boolean) =>
    note(`node ${nodeId} is ${up ? 'up again' : 'down; counting goes on'}`);
  const localDatacenter = options.datacenter;
  try {
    return await environment.openSink({ contactPoints, localDatacenter, consistency: level, onNode });
  } catch (error) {
    if (asTallyringError(error).code === 'UNAVAILABLE') {
      await withContact(environment, options, (contact) =>
        contact.call((node) => node.describe({ timeoutMs: contact.timeoutMs })),
      );
    }
    throw error;
  }
}

async function finish(work: Work, file: string, options: ImportOptions): Promise<ExitCode> {
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
  const summary = summaryOf(work, { broken, unacknowledged }, (nextLine) =>
    goOnCommand(environment, { file, nextLine }, options),
  );
  if (sink instanceof LogSink) summary.rerun = rerunText(file, summary.events, sink.dedupWindow);
  await environment.stdout.write(
    options.json ? `${JSON.stringify(summaryJson(summary))}\n` : summaryText(summary),
  );
  if (unacknowledged !== undefined) return EXIT.inDoubt;
  const isWhole = broken === undefined && summary.missing === undefined && !work.interrupted;
  return isWhole && work.rejections.total === 0 ? EXIT.done : EXIT.partly;
}

function summaryOf(
  work: Work,
  ends: { broken: unknown; unacknowledged: unknown },
  goOn: (nextLine: number) => string,
): Summary {
  const { events, keys, lines, fromLine, rejections, interrupted, startedMs } = work;
  const elapsedMs = performance.now() - startedMs;
  const ended = interrupted || ends.broken !== undefined;
  const nextLine = Math.max(lines + 1, fromLine);
  return {
    events,
    keys: keys.size,
    isOverKeys: keys.size >= MAX_KEYS_COUNTED,
    lines,
    rejections,
    interrupted,
    elapsedMs,
    ...ends,
    ...(ended && { next: { line: nextLine, command: goOn(nextLine) } }),
    // To go on behind the last line is no mistake; further is.
    ...(!ended && fromLine > lines + 1 && { missing: fromLine }),
  };
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
  for await (const read of linesOf(work.source.chunks)) {
    if (work.interrupted) return;
    const lines = behindStart(work, read);
    const nowMs = work.environment.nowMs();
    for (const line of lines) {
      if (--untilLook <= 0) {
        untilLook = pace.burst;
        await keepPace(work, pace.waitMs(work.events, performance.now() - work.startedMs));
      }
      if (work.interrupted) return;
      work.lines++;
      if (isBlank(line)) continue;
      const parsed = parseEventLine(line, nowMs);
      if ('rejected' in parsed) {
        work.rejections.add(work.lines, parsed.rejected);
        continue;
      }
      try {
        const full = work.sink.count({ ...parsed.event, line: work.lines });
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

/** Passes over the lines before `--from-line`. */
function behindStart(work: Work, lines: Line[]): Line[] {
  const before = work.fromLine - 1 - work.lines;
  if (before <= 0) return lines;
  work.lines += Math.min(before, lines.length);
  return lines.slice(before);
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
  if (error.code !== 'INVALID_ARGUMENT' && error.code !== 'OUT_OF_RANGE') {
    work.lines--; // this one was not counted
    throw error;
  }
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
    // What is read runs ahead of what is counted only by one buffer.
    done: source.totalBytes === undefined ? undefined : { part: source.bytesRead(), of: source.totalBytes },
  });
}
