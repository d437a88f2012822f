import { addressOf, type CommonOptions, configOf, configPathOf } from './contact.js';
import type { Environment } from './environment.js';
import { formatCount, table } from './format.js';
import { serviceParts } from './parts.js';
import { healthOf } from './service-sights.js';

/** The services in `tallyring status`: what each says of its health. */
export interface ServiceRow {
  name: string;
  kind: string;
  address: string;
  /** Undefined when it has no address for that. */
  up: boolean | undefined;
  state: string;
  /** Events in the log that are not counted yet; of processing. */
  lag: number | undefined;
}

/** Those of cluster.yml; none when other nodes than its were asked. */
export async function serviceRows(environment: Environment, options: CommonOptions): Promise<ServiceRow[]> {
  if (options.contact !== undefined || options.host !== undefined) return [];
  const config = await configOf(environment, options);
  const { loadServicesConfig } = await import('./services-config.js');
  const parts = serviceParts(loadServicesConfig(configPathOf(environment, options), config));
  return Promise.all(
    parts.map(async (part) => {
      const known = { name: part.id, kind: part.kind, address: addressOf(part) };
      if (part.healthPort === 0)
        return { ...known, up: undefined, state: 'not known: it has no metricsPort', lag: undefined };
      const health = await healthOf(environment, part);
      const state = health?.message ?? 'does not answer';
      return { ...known, up: health !== undefined, state, lag: health?.lag };
    }),
  );
}

export function serviceRowsText(rows: readonly ServiceRow[]): string {
  if (rows.length === 0) return '';
  const lines = rows.map(({ name, kind, address, up, state, lag }) => [
    up === undefined ? '?' : up ? 'U' : 'D',
    name,
    kind,
    address,
    lag === undefined ? '' : formatCount(lag),
    state,
  ]);
  return `\n${table([['-', 'Service', 'Kind', 'Address', 'Lag', 'State'], ...lines], [4])}`;
}
