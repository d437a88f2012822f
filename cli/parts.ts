import type { NodeConfig } from '../node/config.js';
import { usage } from './exit.js';

/** The processes that make up the whole: nodes, and the services of the counting pipeline. Pure. */

export interface Part {
  /** Its name in commands, and that of its folder. */
  id: string;
  kind: 'node' | ServiceKind;
  host: string;
  port: number;
  /** HTTP, where /health is asked; 0: nowhere. */
  healthPort: number;
  /** Of its own process, behind `tallyring`. */
  words: readonly string[];
}

export type ServiceKind = 'log' | 'processing' | 'query';

/** What is to be known of the services (services/config.ts). */
export interface ServicePlaces {
  log: { host: string; port: number; metricsPort: number; kafka?: object | undefined };
  processing: { instances: readonly { name: string; host: string; port: number }[] };
  query: { host: string; port: number };
}

export function nodePart({ id, host, port, metricsPort }: NodeConfig): Part {
  return { id, kind: 'node', host, port, healthPort: metricsPort, words: ['node', id] };
}

/** In the order in which they are started. */
export function serviceParts(services: ServicePlaces | undefined): Part[] {
  if (services === undefined) return [];
  const { log, processing, query } = services;
  const instances = processing.instances.map(
    ({ name, host, port }): Part => ({
      id: name,
      kind: 'processing',
      host,
      port,
      healthPort: port,
      words: ['processing', '--name', name],
    }),
  );
  const { host, port } = query;
  const embedded: Part = {
    ...{ id: 'log', kind: 'log', host: log.host, port: log.port },
    healthPort: log.metricsPort,
    words: ['log'],
  };
  return [
    ...(log.kafka === undefined ? [embedded] : []),
    ...instances,
    { id: 'query', kind: 'query', host, port, healthPort: port, words: ['query'] },
  ];
}

/** Throws INVALID_ARGUMENT that lists the ones there are. */
export function partOf(parts: readonly Part[], id: string): Part {
  const part = parts.find((part) => part.id === id);
  if (part !== undefined) return part;
  const all = parts.map((part) => part.id).join(', ');
  throw usage(`there is no node or service ${JSON.stringify(id)}; there are ${all}`);
}

/** Those who depend on others first: the order in which they are stopped, all of a step at once. */
export function stopSteps(parts: readonly Part[]): Part[][] {
  const kinds: Part['kind'][][] = [['query', 'processing'], ['log'], ['node']];
  return kinds
    .map((step) => parts.filter(({ kind }) => step.includes(kind)))
    .filter((step) => step.length > 0);
}

const SEMI_SPACE_MIB: Partial<Record<Part['kind'], number>> = { processing: 64, log: 2 };

/**
 * How much room for young objects a part has before they are looked through. A processing instance makes and drops
 * some per event and takes a quarter less time with more (measured: 11.2 instead of 14 µs per event). The log makes
 * few objects and many buffers, which lie outside and go with them: with little room they go soon, and it needs no
 * full collection each second (measured over 40 s: 1 instead of 41, and a quarter less time).
 */
export function runtimeFlags(kind: Part['kind']): string[] {
  const semiSpaceMiB = SEMI_SPACE_MIB[kind];
  return semiSpaceMiB === undefined ? [] : [`--max-semi-space-size=${semiSpaceMiB}`];
}
