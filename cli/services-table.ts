import { addressOf } from './contact.js';
import { formatCount, table } from './format.js';
import { type ServiceSight, serviceState } from './service-sights.js';

/** The services in the live status of `start`. Pure. */

interface Column {
  head: string;
  right?: boolean;
  cell(sight: ServiceSight): string;
}

const COLUMNS: Record<string, Column> = {
  light: { head: '', cell: ({ health }) => (health?.ok === true ? '●' : '○') },
  service: { head: 'service', cell: serviceName },
  address: { head: 'address', cell: ({ part }) => addressOf(part) },
  pid: { head: 'pid', right: true, cell: ({ pid }) => (pid === undefined ? '-' : String(pid)) },
  events: { head: 'events/s', right: true, cell: ({ eventsPerSecond }) => rounded(eventsPerSecond) },
  lag: { head: 'lag', right: true, cell: ({ health }) => rounded(health?.lag) },
  state: { head: 'state', cell: serviceState },
};

/** What a narrow terminal goes without, first to last. */
const SPARABLE = ['pid', 'address', 'lag', 'events'];

/** p1 alone does not tell what it is. */
function serviceName({ part: { id, kind } }: ServiceSight): string {
  return id === kind ? id : `${id} (${kind})`;
}

function rounded(figure: number | undefined): string {
  return figure === undefined ? '' : formatCount(Math.round(figure));
}

export function servicesTable(sights: readonly ServiceSight[], spared: readonly string[] = []): string {
  const columns = Object.entries(COLUMNS).flatMap(([name, column]) =>
    spared.includes(name) ? [] : [column],
  );
  const right = columns.flatMap((column, i) => (column.right === true ? [i] : []));
  const rows = sights.map((sight) => columns.map((column) => column.cell(sight)));
  return table([columns.map(({ head }) => head), ...rows], right);
}

/** The table with as many columns as fit; no line reaches the edge, where it would wrap. Empty without services. */
export function fittedServices(sights: readonly ServiceSight[], width: number): string {
  if (sights.length === 0) return '';
  for (let spared = 0; spared <= SPARABLE.length; spared++) {
    const text = servicesTable(sights, SPARABLE.slice(0, spared));
    if (text.split('\n').every((line) => line.length < width)) return text;
  }
  return servicesTable(sights, SPARABLE).replace(/[^\n]+/g, (line) => line.slice(0, Math.max(1, width - 1)));
}
