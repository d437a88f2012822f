import type { Clock, Timers } from '../../ports/clock.js';
import type { Logger } from '../../ports/logger.js';
import type { ClusterConfig, Limits } from '../config.js';
import type { Metrics } from '../metrics.js';
import type { Engine } from './engine.js';
import type { OnCommit } from './store.js';

/** What every store is given, whatever its engine. */
export interface StoreParts {
  cluster: string;
  nodeId: string;
  limits: Limits;
  /**
   * `sync`: an answer rests on what is on disk. `periodic`: a batch is acknowledged when the operating system
   * has it, and synced within a second; a power failure (not a killed process) may lose that second.
   */
  durability: ClusterConfig['durability'];
  clock: Clock;
  timers: Timers;
  logger: Logger;
  metrics: Metrics;
  onCommit: OnCommit;
  /** Called once, at the first error of the engine; the store answers nothing from then on. */
  onFailure?: ((error: Error) => void) | undefined;
  /** A seam for tests: wraps the engine to delay or fail its calls. */
  wrapEngine?: ((engine: Engine) => Engine) | undefined;
}
