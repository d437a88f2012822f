import Table from 'cli-table3';

/** The wide-row report: one row per video, one column per hour. Pure: how it becomes a table. */

export interface ReportRow {
  videoId: string;
  name: string | null;
  channel: string | null;
  total: bigint;
  /** One per hour of the report, in order. */
  hours: readonly bigint[];
}

export interface Report {
  eventType: string;
  /** Starts of the hours; the last one is still going on. */
  hours: readonly number[];
  rows: readonly ReportRow[];
}

/** As RFC 4180 has it: what holds a quote, a comma or a line break is quoted. */
export function reportCsv({ hours, rows }: Report): string {
  const head = ['videoId', 'name', 'channel', ...hours.map((ms) => new Date(ms).toISOString()), 'total'];
  const lines = rows.map((row) => [row.videoId, row.name ?? '', row.channel ?? '', ...row.hours, row.total]);
  return [head, ...lines]
    .map((line) => `${line.map((cell) => csvCell(String(cell))).join(',')}\r\n`)
    .join('');
}

function csvCell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const MAX_TEXT_CHARACTERS = 40;
const NO_COLOURS = { head: [], border: [] };

/** For terminals: hours as HH:MM, with the day where it begins. */
export function reportText({ eventType, hours, rows }: Report): string {
  const table = new Table({
    head: ['video', 'channel', ...hours.map(hourHead), 'total'],
    style: NO_COLOURS,
    colAligns: ['left', 'left', ...hours.map(() => 'right' as const), 'right'],
  });
  for (const row of rows) {
    const title = row.name === null ? row.videoId : `${row.name} (${row.videoId})`;
    table.push([shown(title), shown(row.channel ?? ''), ...row.hours.map(String), String(row.total)]);
  }
  return `${shown(eventType)} per hour, UTC; the last hour is still going on\n${table.toString()}\n`;
}

function hourHead(ms: number, i: number): string {
  const text = new Date(ms).toISOString();
  const hour = text.slice(11, 16);
  return i === 0 || hour === '00:00' ? `${text.slice(5, 10)}\n${hour}` : `\n${hour}`;
}

/** Names come from anybody: nothing of them may steer a terminal. */
function shown(text: string): string {
  const plain = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\uFFFD');
  return plain.length > MAX_TEXT_CHARACTERS ? `${plain.slice(0, MAX_TEXT_CHARACTERS - 1)}…` : plain;
}
