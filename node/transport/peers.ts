import type { Clock, Timers } from '../../ports/clock.js';
import type { Logger } from '../../ports/logger.js';
import type { Random } from '../../ports/random.js';
import { grpcAddress } from '../../proto/channel.js';
import { TallyringError } from '../../proto/errors.js';
import {
  decodeReply,
  encodeBody,
  type PeerKind,
  type ReplyBody,
  type RequestBody,
} from '../../proto/peer-message.js';
import type { ClusterConfig } from '../config.js';
import type { Metrics } from '../metrics.js';
import type { Peers } from '../peers.js';
import { PeerLink } from './peer-link.js';
import { maxBodyBytes, maxMessageBytes } from './peer-wire.js';

export interface GrpcPeersOptions {
  config: ClusterConfig;
  nodeId: string;
  clock: Clock;
  timers: Timers;
  random: Random;
  logger: Logger;
  metrics?: Metrics | undefined;
  /** Told whenever `isConnected` of a node changes. */
  onConnection?: ((nodeId: string, connected: boolean) => void) | undefined;
}

interface Route {
  link: PeerLink;
  queuedBytes: number;
}

/** The other nodes of cluster.yml over gRPC: one stream to each, opened when first used. */
export class GrpcPeers implements Peers {
  readonly #options: GrpcPeersOptions;
  readonly #routes = new Map<string, Route>();
  #totalBytes = 0;

  constructor(options: GrpcPeersOptions) {
    this.#options = options;
    const { config, nodeId } = options;
    for (const node of config.nodes) {
      if (node.id !== nodeId)
        this.#routes.set(node.id, this.#routeTo(node.id, grpcAddress(node.host, node.port)));
    }
  }

  async request<K extends PeerKind>(
    nodeId: string,
    kind: K,
    body: RequestBody<K>,
    timeoutMs: number,
  ): Promise<ReplyBody<K>> {
    const route = this.#routes.get(nodeId);
    if (!route) throw new TallyringError('FAILED_PRECONDITION', `cluster.yml has no other node ${nodeId}`);
    const payload = encodeBody(body);
    this.#admit(nodeId, route, payload.length);
    return decodeReply(kind, await route.link.request(kind, payload, timeoutMs));
  }

  isConnected(nodeId: string): boolean {
    return this.#routes.get(nodeId)?.link.isConnected ?? nodeId === this.#options.nodeId;
  }

  /** A node that has just opened its stream to this one is there: no need to wait for the backoff. */
  reconnectNow(nodeId: string): void {
    this.#routes.get(nodeId)?.link.reconnectNow();
  }

  async close(): Promise<void> {
    for (const { link } of this.#routes.values()) link.close();
  }

  #admit(nodeId: string, route: Route, bytes: number): void {
    const { limits } = this.#options.config;
    if (bytes > maxBodyBytes(limits)) {
      const text = `a message of ${bytes} bytes is over limits.maxBatchBytes (${limits.maxBatchBytes})`;
      throw new TallyringError('INVALID_ARGUMENT', text);
    }
    const peerFull = route.queuedBytes + bytes > limits.maxPeerQueueBytes;
    if (peerFull || this.#totalBytes + bytes > limits.maxTotalQueueBytes) {
      this.#options.metrics?.overloaded.inc({ queue: peerFull ? 'peer' : 'peers' });
      const name = peerFull ? 'maxPeerQueueBytes' : 'maxTotalQueueBytes';
      const text = `bytes that wait for ${peerFull ? nodeId : 'all peers'} are over limits.${name}; try again later`;
      throw new TallyringError('OVERLOADED', text);
    }
    route.queuedBytes += bytes;
    this.#totalBytes += bytes;
  }

  #routeTo(target: string, address: string): Route {
    const { config, nodeId, clock, timers, random, logger, onConnection } = this.#options;
    const link = new PeerLink({
      cluster: config.cluster,
      nodeId,
      target,
      address,
      maxReceiveBytes: maxMessageBytes(config.limits),
      clock,
      timers,
      random,
      onFreed: (bytes) => {
        route.queuedBytes -= bytes;
        this.#totalBytes -= bytes;
      },
      onConnection: (connected, reason) => {
        if (connected) logger.info({ peer: target }, 'connected to a peer again');
        else logger.warn({ peer: target, reason: reason?.message }, 'lost the connection to a peer');
        onConnection?.(target, connected);
      },
    });
    const route: Route = { link, queuedBytes: 0 };
    return route;
  }
}
