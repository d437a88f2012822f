import { addressOf } from './contact.js';
import { formatBytes, formatCount, formatDuration, table } from './format.js';
import { isReady, type Sight, stateOf } from './node-processes.js';

/** The live table of `start`. Pure. */

interface Column {
  head: string;
  right?: boolean;
  cell(sight: Sight): string;
}

const COLUMNS: Record<string, Column> = {
  light: { head: '', cell: (sight) => (isReady(sight) ? '●' : '○') },
  node: { head: 'node', cell: ({ node }) => node.id },
  address: { head: 'address', cell: ({ node }) => addressOf(node) },
  pid: { head: 'pid', right: true, cell: ({ pid }) => (pid === undefined ? '-' : String(pid)) },
  state: { head: 'state', cell: stateOf },
  entries: {
    head: 'entries',
    right: true,
    cell: ({ report }) => (report ? formatCount(report.entries) : ''),
  },
  memory: {
    head: 'memory',
    right: true,
    cell: ({ report }) => (report ? formatBytes(report.memoryBytes) : ''),
  },
  hints: { head: 'hints', right: true, cell: ({ report }) => (report ? hintsText(report.hints) : '') },
  upFor: {
    head: 'up for',
    right: true,
    cell: ({ report }) => (report ? formatDuration(report.uptimeMs) : ''),
  },
};

/** What a narrow terminal goes without, first to last. */
const SPARABLE = ['upFor', 'memory', 'pid', 'address', 'hints', 'entries'];

function hintsText(hints: Record<string, number>): string {
  return formatCount(Object.values(hints).reduce((sum, count) => sum + count, 0));
}

/** The table without the columns of `spared`. */
export function statusTable(sights: readonly Sight[], spared: readonly string[] = []): string {
  const columns = Object.entries(COLUMNS).flatMap(([name, column]) =>
    spared.includes(name) ? [] : [column],
  );
  const right = columns.flatMap((column, i) => (column.right === true ? [i] : []));
  const rows = sights.map((sight) => columns.map((column) => column.cell(sight)));
  return table([columns.map(({ head }) => head), ...rows], right);
}

/** The table with as many columns as fit beside each other; no line reaches the edge, where it would wrap. */
export function fittedTable(sights: readonly Sight[], width: number): string {
  for (let spared = 0; spared <= SPARABLE.length; spared++) {
    const text = statusTable(sights, SPARABLE.slice(0, spared));
    if (text.split('\n').every((line) => line.length < width)) return text;
  }
  return statusTable(sights, SPARABLE).replace(/[^\n]+/g, (line) => line.slice(0, Math.max(1, width - 1)));
}

/** Rows of a terminal of this width that painted lines take. */
export function rowsTaken(text: string, width: number): number {
  const lines = text.split('\n').slice(0, -1);
  return lines.reduce((rows, line) => rows + Math.max(1, Math.ceil(line.length / width)), 0);
}
