import Table from 'cli-table3';
import type { Off } from './comparison.js';
import { DEAD_MS } from './kills.js';
import { isKept, type Load, type Outcome } from './run.js';

const number = (value: number) => value.toLocaleString('en');
const off = ({ events, keys }: Off) => (events === 0 ? '0' : `${number(events)} in ${number(keys)} keys`);

const ROWS: [string, (outcome: Outcome) => string][] = [
  ['nodes killed -9', ({ kills }) => String(kills)],
  ['seconds until the last answer', ({ tookSeconds }) => tookSeconds.toFixed(0)],
  ['failed calls', ({ calls }) => number(calls.refused + calls.inDoubt)],
  ['… answered: not applied', ({ calls }) => number(calls.refused)],
  ['… in doubt', ({ calls }) => number(calls.inDoubt)],
  ['failed calls applied after all', ({ drift }) => number(drift.appliedAfterAll)],
  ['EVENTS TOO MANY', ({ drift }) => off(drift.tooMany)],
  ['EVENTS LOST', ({ drift }) => off(drift.lost)],
  ['outside of what its answers allow', ({ drift }) => off(drift.outsideAnswers)],
  ['verdict', verdict],
];

/** A counter that is exact may still be luck; one that is not, whatever its answers said, drifted. */
export function verdict(outcome: Outcome): string {
  const { contestant, drift } = outcome;
  if (!isKept(outcome)) return contestant.promise ? 'PROMISE BROKEN' : 'drifts, beyond its answers';
  if (drift.tooMany.events + drift.lost.events === 0) return 'exact';
  return contestant.promise ? 'as answered: acknowledged + part of in doubt' : 'drifts';
}

export function renderTable(outcomes: readonly Outcome[]): string {
  const table = new Table({
    head: ['', ...outcomes.map(({ contestant }) => contestant.name)],
    colAligns: ['left', ...outcomes.map(() => 'right' as const)],
    colWidths: [36, ...outcomes.map(() => 24)],
    wordWrap: true,
    style: { head: [], border: [] },
  });
  for (const [label, cell] of ROWS) table.push([label, ...outcomes.map(cell)]);
  return table.toString();
}

/** What was done and how each system was configured: a comparison is worth nothing without. */
export function renderSetup(load: Load, outcomes: readonly Outcome[]): string {
  const at = load.kills.map(({ atEvent, node }) => `node ${node} at event ${number(atEvent)}`).join(', ');
  return [
    `Each: ${number(load.events.length)} real events of ${number(load.truth.size)} counters, one increment by 1 each,`,
    `  over ${load.seconds} s, ${load.inFlight} in flight at most; kill -9 of ${at};`,
    `  restarted after ${DEAD_MS / 1_000} s; a kill waits until the node before is back. Read back at ALL when all nodes are up.`,
    ...outcomes.map(({ contestant }) => `${contestant.name}: ${contestant.setup}.`),
    ...outcomes.map(({ contestant, failures }) => {
      const kinds = [...failures].map(([failure, count]) => `${failure} ${number(count)}`);
      return `${contestant.name}, failed calls: ${kinds.join(', ') || 'none'}.`;
    }),
  ].join('\n');
}

/** docs/drift.json: figures and versions; no date, no machine. */
export function toJson(load: Load, outcomes: readonly Outcome[], versions: Record<string, string>): string {
  const { seconds, inFlight, kills } = load;
  const report = {
    load: {
      events: load.events.length,
      counters: load.truth.size,
      seconds,
      inFlight,
      kills,
      restartedAfterMs: DEAD_MS,
    },
    versions,
    systems: outcomes.map((outcome) => ({
      name: outcome.contestant.name,
      setup: outcome.contestant.setup,
      tookSeconds: Math.round(outcome.tookSeconds),
      kills: outcome.kills,
      calls: outcome.calls,
      failures: Object.fromEntries(outcome.failures),
      ...outcome.drift,
      verdict: verdict(outcome),
    })),
  };
  return `${JSON.stringify(report, null, 2)}\n`;
}
