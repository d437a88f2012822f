import type { Clock, TimerHandle, Timers } from '../../ports/clock.js';
import type { Logger } from '../../ports/logger.js';
import { type Random, shuffled } from '../../ports/random.js';
import { asTallyringError, TallyringError } from '../../proto/errors.js';
import type { GossipConfig } from '../config.js';
import type { Metrics } from '../metrics.js';
import type { Peers } from '../peers.js';
import { MAX_GENERATION_AHEAD_MS, refusalOf, refusalOfDelta, refused } from './admission.js';
import { decodeMessage, encodeMessage, type Header, MAX_ENDPOINTS, type MessageKind } from './codec.js';
import { answerDigests, answerRequests, applyDeltas, digestsOf } from './exchange.js';
import { Liveness } from './liveness.js';
import type { Endpoint, Facts, Membership } from './membership.js';
import {
  beat,
  type Delta,
  type Digest,
  declareFacts,
  deltaSince,
  type EndpointState,
  factOf,
  factsOf,
  type GossipState,
  maxVersion,
} from './state.js';
import { chooseTargets } from './targets.js';

export interface GossiperParts {
  cluster: string;
  /** Of admission.ts: what must be equal on all nodes. */
  configHash: string;
  nodeId: string;
  /** Epoch milliseconds, and greater than that of any former process of this node. */
  generation: number;
  facts: Facts;
  seeds: readonly string[];
  /** All nodes of cluster.yml: a fresh cluster needs no discovery. */
  knownNodes: readonly string[];
  config: GossipConfig;
  clock: Clock;
  timers: Timers;
  random: Random;
  peers: Peers;
  logger: Logger;
  metrics: Metrics;
  /** Facts that change by themselves (clock, load, synced batch), asked for each round. */
  refresh(): Partial<Facts>;
  /** Tells each node's first verdict, and every change of `isLive`; a lost connection at the next round. */
  onLiveness?: ((nodeId: string, live: boolean) => void) | undefined;
}

/** Peers told of a shutdown directly; a round never has more either. */
const MAX_PEERS_A_ROUND = 3;
const MAX_LOGGED_REFUSALS = 1_000;

/** Spreads what nodes say of themselves: the shell around state, exchange, targets and detector. */
export class Gossiper implements Membership {
  readonly #parts: GossiperParts;
  readonly #knownNodes: ReadonlySet<string>;
  readonly #liveness: Liveness;
  readonly #logged = new Set<string>();
  #state: GossipState;
  #timer: TimerHandle | undefined;
  #stopped = false;

  constructor(parts: GossiperParts) {
    this.#parts = parts;
    this.#knownNodes = new Set([...parts.knownNodes, parts.nodeId]);
    this.#liveness = new Liveness({ ...parts, knownNodes: this.#knownNodes });
    const blank = { nodeId: parts.nodeId, generation: parts.generation, heartbeat: 0, facts: new Map() };
    this.#state = new Map([[parts.nodeId, declareFacts(blank, parts.facts)]]);
  }

  /** Begins with a round at once, then one every gossipIntervalMs. */
  start(): void {
    this.#liveness.start();
    this.#timer = this.#parts.timers.after(0, () => this.#round());
  }

  /** Says goodbye to a few live peers, so that nobody has to wait for the detector. Takes a second at most. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#timer?.cancel();
    this.#setOwn(declareFacts(beat(this.#own()), { status: 'shutdown' }));
    const live = [...this.#knownNodes].filter((id) => id !== this.#parts.nodeId && this.isLive(id));
    const ack2 = this.#encode('ack2', [], [deltaSince(this.#own(), 0)]);
    const timeoutMs = Math.min(this.#parts.config.gossipIntervalMs, 1_000);
    await Promise.allSettled(
      shuffled(this.#parts.random, live)
        .slice(0, MAX_PEERS_A_ROUND)
        .map((nodeId) => this.#parts.peers.request(nodeId, 'gossipAck2', { ack2 }, timeoutMs)),
    );
  }

  /**
   * Self, or a known node that is not convicted, did not say goodbye, does not refuse us nor we it, whose
   * store did not fail and whose connection is neither refused nor reset. A node of cluster.yml that was not
   * heard of since this process started is presumed up until it is convicted: at a fresh start, waiting for
   * gossip would refuse requests that could be served, while a wrong guess costs one timeout and a hint.
   */
  isLive(nodeId: string): boolean {
    return this.#liveness.isLive(nodeId);
  }

  facts(nodeId: string): Partial<Facts> | undefined {
    const endpoint = this.#state.get(nodeId);
    return endpoint && factsOf(endpoint);
  }

  /** All that were heard of, and those of cluster.yml that were not (generation 0, no facts). */
  endpoints(): Endpoint[] {
    return [...new Set([...this.#knownNodes, ...this.#state.keys()])].sort().map((nodeId) => {
      const endpoint = this.#state.get(nodeId);
      return {
        nodeId,
        generation: endpoint?.generation ?? 0,
        heartbeat: endpoint?.heartbeat ?? 0,
        facts: this.facts(nodeId) ?? {},
        convicted: this.#liveness.isConvicted(nodeId),
        phi: this.#liveness.phi(nodeId),
      };
    });
  }

  declare(facts: Partial<Facts>): void {
    this.#setOwn(declareFacts(this.#own(), facts));
  }

  /** Answers a SYN with the ACK. Throws INVALID_ARGUMENT for a malformed one, FAILED_PRECONDITION for a refused. */
  handleSyn(from: string, syn: Buffer): Buffer {
    const { digests } = this.#receive('syn', from, syn);
    const answer = answerDigests(this.#state, digests);
    return this.#encode('ack', answer.requests, answer.deltas);
  }

  /** Takes what an ACK asked for, or a goodbye. Throws as handleSyn. */
  handleAck2(from: string, ack2: Buffer): void {
    this.#learn(this.#receive('ack2', from, ack2).deltas);
  }

  #round(): void {
    const { nodeId: self, config, metrics, random, refresh, seeds, timers } = this.#parts;
    if (this.#stopped) return;
    this.#timer = timers.after(config.gossipIntervalMs, () => this.#round());
    metrics.gossipRounds.inc();
    this.#setOwn(declareFacts(beat(this.#own()), refresh()));
    this.#liveness.judgeAll();
    const others = [...this.#knownNodes].filter((nodeId) => nodeId !== self && !this.#hasLeft(nodeId));
    const targets = chooseTargets(
      {
        live: others.filter((nodeId) => this.isLive(nodeId)),
        unreachable: others.filter((nodeId) => !this.isLive(nodeId)),
        returning: others.filter((nodeId) => this.#liveness.isReturning(nodeId)),
        seeds: seeds.filter((nodeId) => others.includes(nodeId)),
      },
      random,
    );
    for (const nodeId of targets) void this.#exchange(nodeId);
  }

  /** One exchange with one peer. Never rejects: what goes wrong is for the detector to judge. */
  async #exchange(peer: string): Promise<void> {
    const { config, logger, peers } = this.#parts;
    const timeoutMs = 2 * config.gossipIntervalMs;
    try {
      const syn = this.#encode('syn', digestsOf(this.#state), []);
      const { ack } = await peers.request(peer, 'gossipSyn', { syn }, timeoutMs);
      if (this.#stopped) return;
      const { digests: requests, deltas } = this.#receive('ack', peer, ack);
      this.#liveness.setRefused(peer, false);
      this.#learn(deltas);
      const answer = answerRequests(this.#state, requests);
      if (answer.length === 0) return;
      await peers.request(peer, 'gossipAck2', { ack2: this.#encode('ack2', [], answer) }, timeoutMs);
    } catch (thrown) {
      const error = asTallyringError(thrown);
      if (error.code === 'FAILED_PRECONDITION') {
        this.#liveness.setRefused(peer, true);
        this.#logRefusal(peer, error.message);
      } else if (error.code === 'INVALID_ARGUMENT' || error.code === 'INTERNAL') {
        this.#logRefusal(peer, error.message);
      } else logger.debug({ peer, code: error.code }, `gossip failed: ${error.message}`);
    }
  }

  /** Decodes a message and checks its sender; nothing of a refused one is used. */
  #receive(kind: MessageKind, from: string, payload: Buffer) {
    if (this.#stopped) throw new TallyringError('UNAVAILABLE', `node ${this.#parts.nodeId} is shutting down`);
    this.#parts.metrics.gossipBytes.inc({ direction: 'received' }, payload.length);
    const message = decodeMessage(kind, payload);
    const reason = refusalOf(message.header, from, this.#view(from));
    if (reason === undefined) return message;
    this.#logRefusal(from, reason);
    throw refused(reason);
  }

  #learn(deltas: readonly Delta[]): void {
    const admitted = deltas.filter((delta) => {
      if (delta.nodeId === this.#parts.nodeId) {
        this.#outdo(delta);
        return false;
      }
      const reason = refusalOfDelta(delta, this.#view(delta.nodeId));
      if (reason !== undefined) this.#logRefusal(delta.nodeId, reason);
      return reason === undefined;
    });
    const room = { expected: this.#knownNodes, maxEndpoints: MAX_ENDPOINTS - this.#knownNodes.size };
    const { state, changes } = applyDeltas(this.#state, admitted, room);
    this.#state = state;
    this.#liveness.heard(state, changes);
  }

  /**
   * Others remember more of this node than it said: its clock went back between two starts, or somebody
   * used its name. A generation above theirs is what makes it heard again.
   */
  #outdo(claim: Delta): void {
    const own = this.#own();
    if (claim.generation < own.generation) return;
    if (claim.generation === own.generation && maxVersion(claim) <= maxVersion(own)) return;
    if (claim.generation > this.#parts.clock.wallMs() + MAX_GENERATION_AHEAD_MS) return;
    this.#setOwn({ ...own, generation: claim.generation + 1 });
    this.#parts.logger.warn(
      { generation: claim.generation + 1, remembered: claim.generation },
      'peers remember a newer process of this node (a clock that went back?): raised the generation above it',
    );
  }

  #view(nodeId: string) {
    return {
      cluster: this.#parts.cluster,
      configHash: this.#parts.configHash,
      wallMs: this.#parts.clock.wallMs(),
      known: this.#state.get(nodeId),
      isBeating: this.#liveness.isBeating(nodeId),
    };
  }

  #encode(kind: MessageKind, digests: readonly Digest[], deltas: readonly Delta[]): Buffer {
    const { cluster, configHash, nodeId } = this.#parts;
    const { generation } = this.#own();
    const header: Header = {
      cluster,
      configHash,
      nodeId,
      storeId: factOf(this.#own(), 'storeId') ?? '',
      generation,
    };
    const payload = encodeMessage(kind, { header, digests, deltas });
    this.#parts.metrics.gossipBytes.inc({ direction: 'sent' }, payload.length);
    return payload;
  }

  #own(): EndpointState {
    return this.#state.get(this.#parts.nodeId)!;
  }

  #setOwn(own: EndpointState): void {
    this.#state = new Map(this.#state).set(own.nodeId, own);
  }

  #hasLeft(nodeId: string): boolean {
    return factOf(this.#state.get(nodeId), 'status') === 'left';
  }

  /** Once per node and reason: a refused node tries again every second. */
  #logRefusal(peer: string, reason: string): void {
    const entry = `${peer}: ${reason}`;
    if (this.#logged.has(entry)) return;
    if (this.#logged.size >= MAX_LOGGED_REFUSALS) this.#logged.clear();
    this.#logged.add(entry);
    this.#parts.logger.warn({ peer }, `gossip refused: ${reason}`);
  }
}
