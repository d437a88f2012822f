import type { Clock } from '../../ports/clock.js';
import type { Logger } from '../../ports/logger.js';
import type { GossipConfig } from '../config.js';
import type { Metrics } from '../metrics.js';
import type { Peers } from '../peers.js';
import { FailureDetector } from './detector.js';
import { factOf, type GossipState, type StateChange } from './state.js';

export interface LivenessParts {
  nodeId: string;
  knownNodes: ReadonlySet<string>;
  config: GossipConfig;
  clock: Clock;
  peers: Peers;
  logger: Logger;
  metrics: Metrics;
  onLiveness?: ((nodeId: string, live: boolean) => void) | undefined;
}

/** Beats missed after which a node's name may be claimed with another store. */
const CLAIM_AFTER_BEATS = 5;
/** Beats missed up to which a node that is not live is tried again. */
const RETURNING_BEATS = 3;

/** This node's own judgement of the others: never gossiped. */
export class Liveness {
  readonly #parts: LivenessParts;
  readonly #detector: FailureDetector;
  readonly #convicted = new Set<string>();
  /** Whose address was last answered by somebody that we refuse, or that refuses us. */
  readonly #refused = new Set<string>();
  /** Not fit to be asked, whatever its connection: kept ready because requests ask all the time. */
  readonly #unfit = new Set<string>();
  readonly #told = new Map<string, boolean>();
  #state: GossipState = new Map();

  constructor(parts: LivenessParts) {
    this.#parts = parts;
    const { phiConvictThreshold, phiWindowSize, gossipIntervalMs, maxLocalPauseMs } = parts.config;
    this.#detector = new FailureDetector({
      threshold: phiConvictThreshold,
      windowSize: phiWindowSize,
      beatIntervalMs: gossipIntervalMs,
      maxLocalPauseMs,
    });
  }

  /** Presumes the known nodes up from now on, so that a cluster can serve before the first round is over. */
  start(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    for (const nodeId of this.#others()) this.#detector.report(nodeId, nowMs);
  }

  isLive(nodeId: string): boolean {
    if (nodeId === this.#parts.nodeId) return true;
    if (this.#unfit.has(nodeId)) return false;
    return this.#isKnown(nodeId) && this.#parts.peers.isConnected(nodeId);
  }

  /** Convicted by the detector, or it said goodbye. */
  isConvicted(nodeId: string): boolean {
    return this.#convicted.has(nodeId) || this.#saidGoodbye(nodeId);
  }

  phi(nodeId: string): number {
    return nodeId === this.#parts.nodeId ? 0 : this.#detector.phi(nodeId, this.#parts.clock.monotonicMs());
  }

  /** Whether a process of that name was heard of just now, so that nobody else may take the name. */
  isBeating(nodeId: string): boolean {
    return this.#isHeard(nodeId, CLAIM_AFTER_BEATS) && this.#parts.peers.isConnected(nodeId);
  }

  /** Not live, yet others hear it: it restarted, or a connection is to be made again. Worth an exchange. */
  isReturning(nodeId: string): boolean {
    return !this.isLive(nodeId) && this.#isHeard(nodeId, RETURNING_BEATS);
  }

  setRefused(nodeId: string, isRefused: boolean): void {
    if (this.#refused.has(nodeId) === isRefused) return;
    if (isRefused) this.#refused.add(nodeId);
    else this.#refused.delete(nodeId);
    this.#judge(nodeId);
  }

  /** Gossip changed what is known. */
  heard(state: GossipState, changes: readonly StateChange[]): void {
    this.#state = state;
    const nowMs = this.#parts.clock.monotonicMs();
    for (const { nodeId, restarted, beat } of changes) {
      if (nodeId === this.#parts.nodeId) continue;
      if (restarted) this.#detector.reset(nodeId);
      if (beat) {
        this.#detector.report(nodeId, nowMs);
        this.#convicted.delete(nodeId);
      }
      this.#judge(nodeId);
    }
  }

  /** Once a round: convicts the silent and tells what changed, connections included. */
  judgeAll(): void {
    const { clock, logger, metrics } = this.#parts;
    for (const nodeId of this.#detector.suspects(clock.monotonicMs())) {
      if (this.#convicted.has(nodeId)) continue;
      this.#convicted.add(nodeId);
      if (this.#saidGoodbye(nodeId)) continue;
      metrics.convictions.inc();
      logger.warn({ peer: nodeId, phi: this.phi(nodeId) }, 'no heartbeat any more: convicted');
    }
    let live = 1;
    for (const nodeId of this.#others()) {
      this.#judge(nodeId);
      if (this.isLive(nodeId)) live++;
    }
    metrics.liveNodes.set(live);
  }

  #others(): Set<string> {
    const others = new Set([...this.#parts.knownNodes, ...this.#state.keys()]);
    others.delete(this.#parts.nodeId);
    return others;
  }

  #isKnown(nodeId: string): boolean {
    return this.#parts.knownNodes.has(nodeId) || this.#state.has(nodeId);
  }

  #isHeard(nodeId: string, beats: number): boolean {
    const silenceMs = this.#detector.silenceMs(nodeId, this.#parts.clock.monotonicMs());
    const isRecent = silenceMs < beats * this.#parts.config.gossipIntervalMs;
    return isRecent && this.#state.has(nodeId) && !this.isConvicted(nodeId);
  }

  #saidGoodbye(nodeId: string): boolean {
    const status = factOf(this.#state.get(nodeId), 'status');
    return status === 'shutdown' || status === 'left';
  }

  #judge(nodeId: string): void {
    const failed = factOf(this.#state.get(nodeId), 'storeState') === 'failed';
    if (failed || this.isConvicted(nodeId) || this.#refused.has(nodeId)) this.#unfit.add(nodeId);
    else this.#unfit.delete(nodeId);
    const live = this.isLive(nodeId);
    if (this.#told.get(nodeId) === live) return;
    this.#told.set(nodeId, live);
    this.#parts.logger.info({ peer: nodeId, live }, live ? 'node is up' : 'node is down');
    this.#parts.onLiveness?.(nodeId, live);
  }
}
