import type { Clock, Timers } from '../ports/clock.js';
import type { Logger } from '../ports/logger.js';
import type { Random } from '../ports/random.js';
import type { NodeCalls } from '../proto/calls.js';
import { TallyringError } from '../proto/errors.js';
import { type ComposedNode, composeNode } from './compose.js';
import type { ClusterConfig } from './config.js';
import type { Metrics } from './metrics.js';
import type { PeerHandler, Peers } from './peers.js';
import type { OnCommit, OpenedStore } from './storage/store.js';

/** All that a node needs of its world. */
export interface NodeParts {
  config: ClusterConfig;
  nodeId: string;
  /** Greater at every start of this node. */
  generation: number;
  /** Said by the operator: no node of this cluster has data, so an empty store lacks nothing. */
  newCluster: boolean;
  /** Said by the operator: what this store may have lost is not waited for. */
  acceptLoss?: boolean;
  clock: Clock;
  timers: Timers;
  random: Random;
  logger: Logger;
  metrics: Metrics;
  peers: Peers;
  /** Resident memory of the process, where there is one. */
  memoryBytes?(): number;
  openStore(onCommit: OnCommit): Promise<OpenedStore>;
}

export interface NodeHealth {
  serving: boolean;
  status: string;
  storeState: 'ok' | 'failed' | 'opening';
}

export interface TallyNode {
  /** What clients and operators may call, once started. */
  readonly calls: NodeCalls;
  /** What other nodes may ask, once started. */
  readonly handlePeer: PeerHandler;
  /** Opens the store and takes part. Resolves when requests are answered; the node may still be recovering. */
  start(): Promise<void>;
  /** Says goodbye, finishes what is under way and closes the store. */
  stop(): Promise<void>;
  health(): NodeHealth;
}

/** A node, not yet started: it answers UNAVAILABLE until `start` resolved. */
export function createNode(parts: NodeParts): TallyNode {
  let composed: ComposedNode | undefined;
  let starting: Promise<void> | undefined;
  const running = (): ComposedNode => {
    if (composed !== undefined) return composed;
    throw new TallyringError('UNAVAILABLE', `node ${parts.nodeId} is not started; nothing was done`);
  };
  const calls: NodeCalls = {
    describe: async (...args) => running().client.describe(...args),
    mintProducer: async (...args) => running().client.mintProducer(...args),
    flush: async (...args) => running().client.flush(...args),
    increment: async (...args) => running().client.increment(...args),
    get: async (...args) => running().client.get(...args),
    columns: async (...args) => running().client.columns(...args),
    shards: async (...args) => running().client.shards(...args),
    stats: async (...args) => running().client.stats(...args),
    report: async (...args) => running().operator.report(...args),
    endpointsOf: async (...args) => running().operator.endpointsOf(...args),
    getLocal: async (...args) => running().operator.getLocal(...args),
    scanLocal: async (...args) => running().operator.scanLocal(...args),
    acquireRegister: async (...args) => running().register.acquireRegister(...args),
    writeRegister: async (...args) => running().register.writeRegister(...args),
    readRegister: async (...args) => running().register.readRegister(...args),
  };
  return {
    calls,
    handlePeer: async (from, request) => running().peer.handle(from, request),
    start: () => {
      starting ??= composeNode(parts).then((ready) => {
        ready.start();
        composed = ready;
      });
      return starting;
    },
    stop: async () => {
      await starting?.catch(() => undefined); // a start that failed is told to who started
      await composed?.stop();
      composed = undefined;
    },
    health: () => composed?.health() ?? { serving: false, status: 'starting', storeState: 'opening' },
  };
}
