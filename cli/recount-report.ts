import { type Int64, int64ToJson } from '../counter/int64.js';
import type { CellValue } from '../counter/shard.js';
import { windowStartMs } from '../counter/window.js';
import type { Finding, PartitionReport, ReplicaSight } from '../services/processing/recount/findings.js';
import { formatCount, isoTime, plural, table } from './format.js';

/** What `recount` prints. */

export interface RecountEnd {
  reports: readonly PartitionReport[];
  /** The first of what was found. */
  shown: readonly Finding[];
  interrupted: boolean;
  repair: boolean;
}

export function foundIn(found: PartitionReport['found']): number {
  return found.wrong + found.repaired + found.equalized + found.left;
}

export function isClean({ reports, interrupted }: RecountEnd): boolean {
  return !interrupted && reports.every(({ refusal, found }) => !refusal && found.wrong + found.left === 0);
}

export function reportJson(end: RecountEnd) {
  const { reports, shown, interrupted } = end;
  return {
    clean: isClean(end),
    interrupted,
    totals: totalsOf(reports),
    partitions: reports.map(({ wholeAfterMs, refusal, waitsFor: _waits, share: _share, ...facts }) => ({
      ...facts,
      wholeAfter: wholeAfterMs === undefined ? null : isoTime(wholeAfterMs),
      refusal: refusal ?? null,
    })),
    found: shown.map(findingJson),
  };
}

function findingJson(finding: Finding) {
  const { granularity, window, is, shouldBe, replicas, ...facts } = finding;
  return {
    ...facts,
    granularity,
    start: granularity === 'total' ? null : isoTime(windowStartMs(granularity, window)),
    is: is === undefined ? null : valueJson(is),
    shouldBe: shouldBe === undefined ? null : valueJson(shouldBe),
    replicas: Object.fromEntries(
      replicas.map(({ nodeId, value }) => [nodeId, value === undefined ? null : valueJson(value)]),
    ),
  };
}

type Value = Pick<CellValue, 'count' | 'sum'> & Partial<CellValue>;

function valueJson({ count, sum, min, max }: Value) {
  const json = (value: Int64 | null | undefined) => (value == null ? null : int64ToJson(value));
  return { count: json(count), sum: json(sum), min: json(min), max: json(max) };
}

function totalsOf(reports: readonly PartitionReport[]) {
  const total = (pick: (report: PartitionReport) => number) =>
    reports.reduce((sum, report) => sum + pick(report), 0);
  return {
    records: total(({ records }) => records),
    cells: total(({ cells }) => cells),
    undecided: total(({ undecided }) => undecided),
    notWhole: total(({ notWhole }) => notWhole),
    mixed: total(({ mixed }) => mixed),
    atQuorum: total(({ atQuorum }) => atQuorum),
    wrong: total(({ found }) => found.wrong),
    repaired: total(({ found }) => found.repaired),
    equalized: total(({ found }) => found.equalized),
    left: total(({ found }) => found.left),
    refused: total(({ refusal }) => (refusal ? 1 : 0)),
  };
}

const DONE: Record<Finding['outcome'], string> = {
  wrong: 'found',
  repaired: 'repaired',
  equalized: 'replicas made equal',
  left: 'left',
};

export function reportText(end: RecountEnd): string {
  const { reports, shown } = end;
  const totals = totalsOf(reports);
  const found = totals.wrong + totals.repaired + totals.equalized + totals.left;
  const lines: string[] = [];
  if (shown.length > 0) lines.push(table([HEAD, ...shown.map(rowOf)]).trimEnd());
  if (found > shown.length)
    lines.push(`… and ${plural(found - shown.length, 'more cell')}; --limit shows so many`);
  lines.push(
    `${plural(totals.records, 'record')} read, ${plural(totals.cells, 'cell')} compared: ${foundText(totals)}`,
    ...notes(reports, totals),
    ...adviceOf(end, totals),
  );
  return `${lines.join('\n')}\n`;
}

const HEAD = ['key', 'type', 'window', 'is', 'should be', 'replicas', 'outcome'];

function rowOf(finding: Finding): string[] {
  const { key, eventType, granularity, window, is, shouldBe, replicas, outcome, reasons } = finding;
  const start = granularity === 'total' ? '' : ` ${isoTime(windowStartMs(granularity, window))}`;
  return [
    key,
    eventType,
    `${granularity}${start}`,
    is === undefined ? 'outside int64' : valueText(is),
    shouldBe === undefined ? '?' : valueText(shouldBe),
    replicasText(replicas),
    [DONE[outcome], ...reasons].join('; '),
  ];
}

/** Count and sum, and where they matter the least and greatest value. */
function valueText({ count, sum, min, max }: Value): string {
  const range = min == null || max == null ? '' : `, ${min}…${max}`;
  return `${formatCount(count)} (sum ${formatCount(sum)}${range})`;
}

/** Those that held the same stand together. */
function replicasText(replicas: readonly ReplicaSight[]): string {
  if (replicas.length === 0) return 'equal';
  const byValue = new Map<string, string[]>();
  for (const { nodeId, value } of replicas) {
    const text = value === undefined ? 'no answer' : valueText(value);
    byValue.set(text, [...(byValue.get(text) ?? []), nodeId]);
  }
  return [...byValue].map(([text, nodeIds]) => `${nodeIds.join(', ')}: ${text}`).join('; ');
}

function foundText(totals: ReturnType<typeof totalsOf>): string {
  const parts = (['repaired', 'equalized', 'wrong', 'left'] as const)
    .filter((name) => totals[name] > 0)
    .map((name) => `${formatCount(totals[name])} ${DONE[name]}`);
  if (parts.length > 0) return parts.join(', ');
  if (totals.refused === 0) return 'nothing is wrong';
  return totals.cells === 0 ? 'nothing can be said' : 'nothing of that is wrong';
}

/** What was not recounted, and why. */
function notes(reports: readonly PartitionReport[], totals: ReturnType<typeof totalsOf>): string[] {
  const lines: string[] = [];
  for (const { partition, refusal, committed } of reports) {
    if (refusal)
      lines.push(
        `partition ${partition} was not recounted, or not to its end: ${refusal.code}: ${refusal.message}`,
      );
    else if (committed === 0) lines.push(`partition ${partition}: nothing was ever counted`);
  }
  if (totals.notWhole > 0) {
    const after = reports.flatMap(({ wholeAfterMs }) => wholeAfterMs ?? []);
    const latest = after.length === 0 ? '' : ` (windows that begin after ${isoTime(Math.max(...after))} are)`;
    const cells = plural(totals.notWhole, 'cell was', 'cells were');
    lines.push(`${cells} not compared: the log may not hold all of their events any more${latest}`);
  }
  if (totals.undecided > 0) {
    const records = plural(totals.undecided, 'record');
    lines.push(
      `${records} could not be decided: what stood before them, and may be the same event, is trimmed`,
    );
  }
  if (totals.mixed > 0) {
    const cells = plural(totals.mixed, 'cell');
    lines.push(`${cells} other producers counted too (SDK or plain calls): only the log's part was compared`);
  }
  if (totals.atQuorum > 0)
    lines.push(`${plural(totals.atQuorum, 'cell')} read at QUORUM: not all replicas answered`);
  return lines;
}

function adviceOf({ interrupted, repair }: RecountEnd, { wrong }: ReturnType<typeof totalsOf>): string[] {
  if (interrupted) return ['interrupted: the rest was not looked at'];
  return wrong > 0 && !repair ? ['--repair corrects them'] : [];
}
