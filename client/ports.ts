import type { Clock, Timers } from '../ports/clock.js';
import type { Logger } from '../ports/logger.js';
import type { Random } from '../ports/random.js';
import type { ConsistencyLevel } from '../proto/level.js';
import type { ClientTransport } from './transport.js';

/** The outside world; `connect` gives the real one. */
export interface ClientPorts {
  transport: ClientTransport;
  clock: Clock;
  timers: Timers;
  random: Random;
  logger: Logger;
  /** Told true while something is still to be written, so that the process does not end before. */
  keepAlive(busy: boolean): void;
}

/** A bound on a wait. */
export interface WaitLimits {
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

export interface IncrementOptions extends WaitLimits {
  /** The value of the event; 1 by default. An integer; a number must be a safe one. */
  by?: number | bigint | undefined;
  /** When it happened; now by default. Epoch milliseconds when a number. */
  timestamp?: Date | number | undefined;
  consistency?: ConsistencyLevel | undefined;
}
