import Table from 'cli-table3';
import type { Verdict } from './checking.js';
import type { Tally } from './workers/records.js';

/** What a run says while it goes on, and in the end. */

const SHOWN_VIOLATIONS = 5;
const count = (n: number) => n.toLocaleString('en');

export function progressLine(
  seconds: number,
  { tally, struck, up }: { tally: Tally; struck: ReadonlyMap<string, number>; up: string },
): string {
  const faults = [...struck].filter(([, times]) => times > 0).map(([name, times]) => `${name} ${times}`);
  const errors = Object.entries(tally.errors).map(([code, times]) => `${code} ${count(times)}`);
  return (
    `${seconds.toFixed(0)} s · up ${up} · ${count(tally.acknowledged)} acknowledged, ${count(tally.reads)} read` +
    ` · errors: ${errors.join(', ') || 'none'} · faults: ${faults.join(', ') || 'none yet'}`
  );
}

export interface RunSummary {
  struck: ReadonlyMap<string, number>;
  lacking: readonly string[];
  tally: Tally;
  lost: number;
  clientsKilled: number;
  equalAfterMs: number | undefined;
  equalBoundMs: number;
  verdicts: readonly Verdict[];
  /** Bad records that the nodes found, of the bits that were flipped. */
  foundBad: number;
}

export function finalReport(summary: RunSummary): string {
  const { tally, struck, verdicts, equalAfterMs, equalBoundMs } = summary;
  const table = new Table({ head: ['', 'what', 'how often'], style: { head: [], border: [] } });
  for (const [name, times] of struck) table.push(['fault', name, count(times)]);
  table.push(
    ['operations', 'increments acknowledged', count(tally.acknowledged)],
    ['', 'increments not applied, and said so', count(tally.notApplied)],
    ['', 'increments in doubt', count(tally.inDoubt)],
    ['', `increments of ${summary.clientsKilled} killed clients, in doubt`, count(summary.lost)],
    ['', 'reads answered', count(tally.reads)],
    ['', 'reads failed', count(tally.failedReads)],
    ['', 'damaged records found by nodes', count(summary.foundBad)],
    [
      'healing',
      `all replicas equal (bound ${equalBoundMs / 1_000} s)`,
      equalAfterMs === undefined ? 'NEVER' : `after ${(equalAfterMs / 1_000).toFixed(1)} s`,
    ],
  );
  for (const { check, looked, violations } of verdicts)
    table.push([
      'check',
      `${check} (${looked})`,
      violations.length === 0 ? 'holds' : `VIOLATED ${violations.length}`,
    ]);
  const found = verdicts.flatMap(({ violations }) => [
    ...violations.slice(0, SHOWN_VIOLATIONS).map(({ check, detail }) => `VIOLATED ${check}: ${detail}`),
    ...(violations.length > SHOWN_VIOLATIONS ? [`… and ${violations.length - SHOWN_VIOLATIONS} more`] : []),
  ]);
  const lacking = summary.lacking.map((text) => `not struck: ${text}`);
  return [table.toString(), ...lacking, ...found].join('\n');
}
