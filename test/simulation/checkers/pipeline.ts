import type { Rule } from '../../../client/log-driven/checkpoint.js';
import { type Granularity, windowIndex } from '../../../counter/window.js';
import type { Entry } from '../../../proto/entry.js';
import { decodeRecord, EARLIEST_EVENT_MS, type EventRecord, MAX_AHEAD_MS } from '../../../services/event.js';
import type { DeadLetter } from '../../../services/log/dead-letters.js';
import type { LogRecord } from '../../../services/log/log.js';
import type { SentEvent } from '../pipeline/sources.js';
import { cellName } from './cells.js';
import { mergedCells } from './final-value.js';
import { getOrMake } from './grouping.js';
import type { Violation } from './violation.js';

export interface PartitionFacts {
  /** All records that were ever in the log, in order, without gaps. */
  records: readonly LogRecord[];
  /** What decides, from which offset on, as the checkpoints have it. */
  rules: readonly Rule[];
}

export interface PipelineFacts {
  partitions: readonly PartitionFacts[];
  /** The smallest that any instance had. */
  dedupWindow: number;
  sent: readonly SentEvent[];
  deadLetters: readonly DeadLetter[];
  stores: ReadonlyMap<string, readonly Entry[]>;
  rollups: readonly Granularity[];
}

/**
 * What stands in the store is what a naive reader of the log counts: no more, no less. What it rejects lies with the
 * dead letters, and nothing else does. And what a source was told is in the log is there, and counts once where its
 * copies stand within the window.
 */
export function checkPipeline(facts: PipelineFacts): Violation[] {
  const judged = facts.partitions.map(judge);
  const counted = judged.flatMap((one) => one.counted);
  return [
    ...checkCells(facts, counted),
    ...checkSent(facts, counted),
    ...checkDeadLetters(
      judged.map((one) => one.rejected),
      facts.deadLetters,
    ),
  ];
}

interface Judged {
  counted: EventRecord[];
  rejected: LogRecord[];
}

function judge({ records, rules }: PartitionFacts): Judged {
  const judged: Judged = { counted: [], rejected: [] };
  const ids = records.map((record) => eventOf(record)?.recordId);
  for (const [i, record] of records.entries()) {
    const event = eventOf(record);
    const rule = rules.findLast(({ from }) => from <= record.offset);
    const since = rule === undefined ? 0 : Math.max(rule.lookBackFrom, i - rule.lookBack);
    const isCopy = event?.recordId !== undefined && ids.slice(Math.max(0, since), i).includes(event.recordId);
    if (isCopy) continue;
    if (event !== undefined && fitsTime(event, record)) judged.counted.push(event);
    else judged.rejected.push(record);
  }
  return judged;
}

function checkDeadLetters(
  rejected: readonly (readonly LogRecord[])[],
  deadLetters: readonly DeadLetter[],
): Violation[] {
  const nameOf = (partition: number, { offset, appendedAtMs, payload }: LogRecord) =>
    `${partition}:${offset} of ${appendedAtMs}: ${payload.toString('hex')}`;
  const expected = new Set(
    rejected.flatMap((records, partition) => records.map((one) => nameOf(partition, one))),
  );
  const found = deadLetters.map((letter) => nameOf(letter.partition, letter));
  const check = 'rejected records are dead letters, each once';
  return [
    ...found
      .filter((name) => !expected.delete(name))
      .map((name) => ({ check, detail: `none should be: ${name}` })),
    ...[...expected].map((name) => ({ check, detail: `missing: ${name}` })),
  ];
}

function eventOf({ payload }: LogRecord): EventRecord | undefined {
  try {
    return decodeRecord(payload);
  } catch {
    return undefined;
  }
}

function fitsTime({ timestampMs }: EventRecord, { appendedAtMs }: LogRecord): boolean {
  return timestampMs >= EARLIEST_EVENT_MS && timestampMs <= appendedAtMs + MAX_AHEAD_MS;
}

function checkSent(
  { partitions, dedupWindow, sent }: PipelineFacts,
  counted: readonly EventRecord[],
): Violation[] {
  const violations: Violation[] = [];
  const total = partitions.reduce((sum, { records }) => sum + records.length, 0);
  const inLog = new Set(
    partitions.flatMap(({ records }) => records).map(({ payload }) => payload.toString('latin1')),
  );
  const times = new Map<string, number>();
  for (const { recordId } of counted) {
    if (recordId !== undefined) times.set(recordId, (times.get(recordId) ?? 0) + 1);
  }
  for (const { event, payload, outcome } of sent) {
    if (outcome === 'acknowledged' && !inLog.has(payload.toString('latin1'))) {
      violations.push({ check: 'acknowledged events are in the log', detail: JSON.stringify(event) });
    }
    if (event.recordId === undefined || total > dedupWindow) continue;
    const often = times.get(event.recordId) ?? 0;
    if (often > 1)
      violations.push({ check: 'an event counts once', detail: `${often} times: ${JSON.stringify(event)}` });
  }
  return violations;
}

interface Sums {
  count: number;
  sum: number;
  min: number | null;
  max: number | null;
}

function checkCells({ stores, rollups }: PipelineFacts, counted: readonly EventRecord[]): Violation[] {
  const expected = new Map<string, Sums>();
  for (const { videoId, eventType, timestampMs, value } of counted) {
    for (const granularity of rollups) {
      const name = cellName(videoId, eventType, granularity, windowIndex(granularity, timestampMs));
      const cell = getOrMake(expected, name, (): Sums => ({ count: 0, sum: 0, min: null, max: null }));
      cell.count++;
      cell.sum += value;
      cell.min = cell.min === null ? value : Math.min(cell.min, value);
      cell.max = cell.max === null ? value : Math.max(cell.max, value);
    }
  }
  const found = mergedCells(stores);
  const violations: Violation[] = [];
  for (const name of new Set([...expected.keys(), ...found.keys()])) {
    const told = (sums: Sums | undefined) =>
      sums ? `${sums.count}/${sums.sum}/${sums.min}/${sums.max}` : 'nothing';
    const [should, is] = [told(expected.get(name)), told(found.get(name) as Sums | undefined)];
    if (should === is) continue;
    violations.push({
      check: 'the store holds what the log says',
      detail: `${name}: ${is}, should be ${should}`,
    });
  }
  return violations;
}
