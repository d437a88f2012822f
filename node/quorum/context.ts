import type { Clock, Timers } from '../../ports/clock.js';
import type { Logger } from '../../ports/logger.js';
import type { Limits } from '../config.js';
import type { Membership } from '../gossip/membership.js';
import type { Metrics } from '../metrics.js';
import type { Peers } from '../peers.js';
import type { Ring } from '../ring/ring.js';
import type { Replica } from './replica.js';

/** What the coordinator and the repair share of their node. */
export interface NodeContext {
  nodeId: string;
  datacenter: string;
  limits: Limits;
  clock: Clock;
  timers: Timers;
  logger: Logger;
  metrics: Metrics;
  peers: Peers;
  membership: Membership;
  replica: Replica;
  /** A request keeps the ring that it started with. */
  ring(): Ring;
  /** Whether this node and another both replicate an entry. */
  replicates(entryKey: Buffer, other: string): boolean;
  /** A peer told the number of its newest synced batch. */
  heard(nodeId: string, storeId: string, batch: number): void;
}
