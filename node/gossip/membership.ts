/** Statuses that a node declares of itself. */
export type NodeStatus = 'joining' | 'normal' | 'leaving' | 'left' | 'recovering' | 'shutdown';

/** What a node says of itself; spread by gossip, each fact with its own version. */
export interface Facts {
  status: NodeStatus;
  host: string;
  port: number;
  datacenter: string;
  rack: string;
  ringEpoch: number;
  storeId: string;
  syncedBatch: number;
  storeState: 'ok' | 'failed' | 'opening';
  wallMs: number;
  /** Requests per second. */
  load: number;
  version: string;
  configHash: string;
}

/** One endpoint as this node sees it: gossiped facts, and its own verdict. */
export interface Endpoint {
  nodeId: string;
  generation: number;
  heartbeat: number;
  facts: Partial<Facts>;
  /** Convicted by the failure detector (or it said goodbye). */
  convicted: boolean;
  phi: number;
}

/** What the rest of a node sees of gossip. */
export interface Membership {
  /** Not convicted, connection neither refused nor reset, store not failed: fit to be asked. Self always. */
  isLive(nodeId: string): boolean;
  /** Its gossiped facts, when heard of. */
  facts(nodeId: string): Partial<Facts> | undefined;
  endpoints(): Endpoint[];
  /** Changes facts of this node; the next round spreads them. */
  declare(facts: Partial<Facts>): void;
}
