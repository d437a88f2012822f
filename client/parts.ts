import { TallyringError } from '../proto/errors.js';
import type { ConsistencyLevel } from '../proto/level.js';
import { checkLevel } from './levels.js';
import {
  type ClientLimits,
  type ClientOptions,
  checkContactPoints,
  DEFAULT_HEDGED_READ_SHARE,
  limitsOf,
} from './options.js';
import type { ClientPorts } from './ports.js';
import { type Hedging, Reader } from './reader.js';
import type { Int64Mode } from './results.js';
import { Topology } from './topology.js';
import { Turns } from './turns.js';

/**
 * What a client is made of, for other producers and readers of this folder that share its connections.
 *
 * @internal No part of the SDK's interface: it changes without notice.
 */
export interface ClientParts {
  readonly ports: ClientPorts;
  readonly limits: ClientLimits;
  readonly topology: Topology;
  readonly reader: Reader;
  /** Of writes, and of reads, that do not say. */
  readonly level: ConsistencyLevel;
  readonly readLevel: ConsistencyLevel;
  /** Of the requests of flushes that are spread over time, whoever flushes. */
  readonly flushTurns: Turns;
}

/** Undefined: reads are not hedged. Throws INVALID_ARGUMENT for what cannot be. */
function hedgingOf({
  hedgeReadsAfterMs: afterMs,
  hedgedReadShare: share = DEFAULT_HEDGED_READ_SHARE,
}: Pick<ClientOptions, 'hedgeReadsAfterMs' | 'hedgedReadShare'>): Hedging | undefined {
  if (!(share > 0 && share <= 1)) refuse(`hedgedReadShare must be above 0 and at most 1, not ${share}`);
  if (afterMs === undefined) return undefined;
  if (!(afterMs > 0)) refuse(`hedgeReadsAfterMs must be positive, not ${afterMs}`);
  return { afterMs, share };
}

function refuse(message: string): never {
  throw new TallyringError('INVALID_ARGUMENT', message);
}

/** Finds the cluster. Who takes the parts closes the topology. */
export async function openParts<M extends Int64Mode>(
  options: ClientOptions<M>,
  ports: ClientPorts,
): Promise<ClientParts> {
  const limits = limitsOf(options);
  const { localDatacenter } = options;
  const contactPoints = checkContactPoints(options.contactPoints);
  const { attemptTimeoutMs } = limits;
  const topology = await Topology.open({
    ...ports,
    contactPoints,
    localDatacenter,
    timeoutMs: attemptTimeoutMs,
  });
  try {
    const level = checkLevel(options.consistency ?? 'QUORUM', topology.levels);
    const readLevel = checkLevel(options.readConsistency ?? level, topology.levels);
    const reader = new Reader({ topology, ...ports, attemptTimeoutMs, hedging: hedgingOf(options) });
    return { ports, limits, topology, reader, level, readLevel, flushTurns: new Turns(ports.timers) };
  } catch (error) {
    topology.close();
    throw error;
  }
}
