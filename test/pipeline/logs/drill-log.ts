import type { DeadLetters } from '../../../services/log/dead-letters.js';
import type { EventLog } from '../../../services/log/log.js';

export type LogKind = 'embedded' | 'kafka';

/** The log under a drill, whichever it is. */
export interface DrillLog {
  readonly kind: LogKind;
  readonly partitions: number;
  /** In the place of services.log in cluster.yml. */
  readonly section: object;
  /** Starts it, for the first time or again, and waits until it answers. */
  start(): Promise<void>;
  /** With -9. */
  kill(): Promise<void>;
  /** A client of it, of the drill's own. */
  connect(): Promise<EventLog & { deadLetters: DeadLetters }>;
  close(): Promise<void>;
}
