import { silentLogger } from '../ports/logger.js';
import { realClock, realRandom, realTimers } from '../ports/real.js';
import { TallyringClient } from './client.js';
import { type CountLogOptions, logCounter } from './log-driven/count-log.js';
import type { LogCounter } from './log-driven/log-counter.js';
import type { ClientOptions } from './options.js';
import type { ClientPorts } from './ports.js';
import type { Int64Mode } from './results.js';

export type { Granularity } from '../counter/window.js';
export type { Logger } from '../ports/logger.js';
export { type ErrorCode, TallyringError } from '../proto/errors.js';
export { type ConsistencyLevel, LEVELS } from '../proto/level.js';
export { TallyringClient } from './client.js';
export type { ColumnTexts, ColumnValue } from './columns.js';
export { PendingError, type SeriesName, UnacknowledgedError } from './errors.js';
export type { CountLogOptions } from './log-driven/count-log.js';
export type { LogCounter, LogCounterStatus } from './log-driven/log-counter.js';
export {
  type Counted,
  type CountingRule,
  type CountingRun,
  countEach,
  type LogSource,
  type SourcePage,
  type SourceReadOptions,
} from './log-driven/source.js';
export type { NodeEvent, NodeInfo, NodeListener } from './node-table.js';
export type { ClientOptions } from './options.js';
export type { IncrementOptions, WaitLimits } from './ports.js';
export type {
  CellChoice,
  CellRequest,
  GetOptions,
  RangeChoice,
  ReadOptions,
  ReadOutcome,
  StatsOptions,
  StatsRequest,
} from './queries.js';
export type { Register, RegisterOwner, RegisterValue } from './register.js';
export type {
  CounterValue,
  Int64Mode,
  IntegerOf,
  StatsFunction,
  StatsResult,
  StatsWindow,
} from './results.js';
export type { ClientTransport, NodeConnection } from './transport.js';

const HALF_A_DAY_MS = 43_200_000;

/** Holds the process open while something is to be written; all other timers and idle connections let it end. */
function processHold(): ClientPorts['keepAlive'] {
  let held: NodeJS.Timeout | undefined;
  return (busy) => {
    clearInterval(held);
    held = busy ? setInterval(() => {}, HALF_A_DAY_MS) : undefined;
  };
}

/**
 * Connects to a cluster: any contact point that answers leads to the other nodes.
 *
 * Throws UNAVAILABLE when none answers, FAILED_PRECONDITION when they belong to different clusters, and
 * INVALID_ARGUMENT for options that cannot be met.
 */
export async function connect<M extends Int64Mode = 'number'>(
  options: ClientOptions<M>,
): Promise<TallyringClient<M>> {
  return TallyringClient.open<M>(options, {
    transport: options.transport ?? (await import('./transport/grpc.js')).grpcTransport(),
    clock: options.clock ?? realClock,
    timers: options.timers ?? realTimers,
    random: options.random ?? realRandom,
    logger: options.logger ?? silentLogger,
    keepAlive: processHold(),
  });
}

/**
 * Counts a log exactly once, for as long as this process lives: beside any number of others that do the same, of
 * which one counts and the others stand by. Holds the process open until `stop()` of what it gives back; stop it
 * before the client is closed.
 *
 * Throws INVALID_ARGUMENT for limits that cannot be.
 */
export function countLog<R>(
  client: Pick<TallyringClient, 'parts'>,
  options: CountLogOptions<R>,
): LogCounter<R> {
  const counter = logCounter(client.parts, options);
  const hold = processHold();
  hold(true);
  void counter.run().finally(() => hold(false));
  return counter;
}
