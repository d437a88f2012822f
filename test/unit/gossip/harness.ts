import { clusterSchema } from '../../../node/config.js';
import { configHash } from '../../../node/gossip/admission.js';
import { Gossiper, type GossiperParts } from '../../../node/gossip/gossiper.js';
import type { Facts } from '../../../node/gossip/membership.js';
import { createMetrics, type Metrics } from '../../../node/metrics.js';
import type { Peers } from '../../../node/peers.js';
import type { TimerHandle } from '../../../ports/clock.js';
import type { Logger } from '../../../ports/logger.js';
import type { Random } from '../../../ports/random.js';
import { asTallyringError, errorFromData, errorToData, TallyringError } from '../../../proto/errors.js';
import { decodeReply, decodeRequest, encodeBody } from '../../../proto/peer-message.js';

export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return { next, bytes: (length) => Buffer.from(Array.from({ length }, () => Math.floor(next() * 256))) };
}

export const WALL_START_MS = 1_700_000_000_000;

/** Virtual time: callbacks run in order of their time, each followed by all promises that it settled. */
export class VirtualTime {
  nowMs = 0;
  readonly #queue: { atMs: number; order: number; callback: () => void }[] = [];
  #order = 0;

  after(delayMs: number, callback: () => void): TimerHandle {
    const item = { atMs: this.nowMs + delayMs, order: this.#order++, callback };
    this.#queue.push(item);
    this.#queue.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
    return {
      cancel: () => {
        const index = this.#queue.indexOf(item);
        if (index >= 0) this.#queue.splice(index, 1);
      },
    };
  }

  async run(durationMs: number): Promise<void> {
    const untilMs = this.nowMs + durationMs;
    while ((this.#queue[0]?.atMs ?? Infinity) <= untilMs) {
      const { atMs, callback } = this.#queue.shift()!;
      this.nowMs = Math.max(this.nowMs, atMs);
      callback();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.nowMs = untilMs;
  }

  /** Runs until the condition holds; returns how long that took. Throws after `boundMs`. */
  async runUntil(condition: () => boolean, boundMs: number): Promise<number> {
    const startMs = this.nowMs;
    while (!condition()) {
      if (this.nowMs - startMs >= boundMs) throw new Error(`not within ${boundMs} ms`);
      await this.run(100);
    }
    return this.nowMs - startMs;
  }
}

export interface Process {
  nodeId: string;
  gossiper: Gossiper;
  metrics: Metrics;
  logs: string[];
  liveness: [string, boolean][];
  alive: boolean;
  /** Timers of a paused process wait, and what is sent to it. */
  pausedUntilMs: number;
}

type StartOptions = Partial<Omit<GossiperParts, 'facts'>> & { facts?: Partial<Facts> };

/** A network of gossipers in virtual time; encoded bytes travel. */
export class Network {
  readonly time = new VirtualTime();
  /** Who answers at each node's address. */
  readonly at = new Map<string, Process>();
  /** Requests sent, by sender, since the start: [time, to, kind]. */
  readonly sent: { atMs: number; from: string; to: string; kind: string }[] = [];
  isCut: (from: string, to: string) => boolean = () => false;
  readonly #random: Random;
  readonly #nodeIds: string[];

  constructor(size: number, seed: number) {
    this.#random = seededRandom(seed);
    this.#nodeIds = Array.from({ length: size }, (_, i) => `n${i + 1}`);
  }

  get nodeIds(): readonly string[] {
    return this.#nodeIds;
  }

  startAll(): void {
    for (const nodeId of this.#nodeIds) this.start(nodeId);
  }

  start(nodeId: string, options: StartOptions = {}): Process {
    const { facts, ...parts } = options;
    const process = {
      nodeId,
      metrics: createMetrics(nodeId),
      logs: [] as string[],
      liveness: [] as [string, boolean][],
      alive: true,
      pausedUntilMs: 0,
    } as Process;
    const log = (fields: object, message: string) =>
      void process.logs.push(`${JSON.stringify(fields)} ${message}`);
    const logger: Logger = { debug() {}, info() {}, warn: log, error: log };
    const clock = {
      wallMs: () => WALL_START_MS + this.time.nowMs,
      monotonicMs: () => this.time.nowMs,
    };
    process.gossiper = new Gossiper({
      cluster: 'test',
      configHash: configHash({ rollups: ['total'], replication: { dc1: 3 } }),
      nodeId,
      generation: clock.wallMs(),
      facts: { ...defaultFacts(nodeId), ...facts },
      seeds: this.#nodeIds.slice(0, 3),
      knownNodes: this.#nodeIds,
      config: clusterSchema.shape.gossip.parse({}),
      clock,
      timers: { after: (delayMs, callback) => this.#afterFor(process, delayMs, callback) },
      random: seededRandom(Math.floor(this.#random.next() * 2 ** 32)),
      peers: this.#peersOf(process),
      logger,
      metrics: process.metrics,
      refresh: () => ({ wallMs: clock.wallMs() }),
      onLiveness: (peer, live) => void process.liveness.push([peer, live]),
      ...parts,
    });
    this.at.set(nodeId, process);
    process.gossiper.start();
    return process;
  }

  /** As kill -9. */
  kill(nodeId: string): void {
    this.at.get(nodeId)!.alive = false;
  }

  /** A clean shutdown: the goodbye, then the end of the process. */
  async shutDown(nodeId: string): Promise<void> {
    const stopped = this.gossiper(nodeId).stop();
    await this.time.run(1_000);
    await stopped;
    this.kill(nodeId);
  }

  gossiper(nodeId: string): Gossiper {
    return this.at.get(nodeId)!.gossiper;
  }

  /** Whether every living node has heard of these nodes' facts. */
  isConverged(holds: (gossiper: Gossiper) => boolean): boolean {
    return [...this.at.values()].every((process) => !process.alive || holds(process.gossiper));
  }

  #afterFor(process: Process, delayMs: number, callback: () => void): TimerHandle {
    let handle: TimerHandle;
    const fire = () => {
      if (!process.alive) return;
      const waitMs = process.pausedUntilMs - this.time.nowMs;
      if (waitMs > 0) handle = this.time.after(waitMs, fire);
      else callback();
    };
    handle = this.time.after(delayMs, fire);
    return { cancel: () => handle.cancel() };
  }

  #peersOf(process: Process): Peers {
    const lost = new Set<string>();
    const from = process.nodeId;
    return {
      request: (to, kind, body, timeoutMs) => {
        this.sent.push({ atMs: this.time.nowMs, from, to, kind });
        const payload = encodeBody(body);
        return new Promise((resolve, reject) => {
          const timeout = this.#afterFor(process, timeoutMs, () =>
            reject(new TallyringError('WRITE_TIMEOUT', `no answer from ${to}`)),
          );
          this.#deliver(from, to, () => {
            const target = this.at.get(to);
            if (target === undefined || !target.alive) {
              lost.add(to);
              timeout.cancel();
              return reject(new TallyringError('UNAVAILABLE', `${to} refused the connection`));
            }
            lost.delete(to);
            this.#afterFor(target, 0, () => {
              const answer = answerOf(target, from, kind, payload);
              this.#deliver(to, from, () => {
                timeout.cancel();
                if (!process.alive) return;
                if (answer instanceof TallyringError) reject(errorFromData(errorToData(answer)));
                else resolve(decodeReply(kind, answer));
              });
            });
          });
        });
      },
      isConnected: (to) => !lost.has(to),
      close: async () => {},
    };
  }

  #deliver(from: string, to: string, callback: () => void): void {
    this.time.after(1 + this.#random.next() * 5, () => {
      if (!this.isCut(from, to)) callback();
    });
  }
}

function answerOf(target: Process, from: string, kind: string, payload: Buffer): Buffer | TallyringError {
  try {
    const request = decodeRequest(kind, payload);
    if (request.kind === 'gossipSyn') {
      return encodeBody({ ack: target.gossiper.handleSyn(from, request.body.syn) });
    }
    if (request.kind === 'gossipAck2') target.gossiper.handleAck2(from, request.body.ack2);
    return encodeBody({});
  } catch (error) {
    return asTallyringError(error);
  }
}

export function defaultFacts(nodeId: string): Facts {
  return {
    status: 'normal',
    host: '127.0.0.1',
    port: 7_000,
    datacenter: 'dc1',
    rack: 'r1',
    ringEpoch: 1,
    storeId: `store-${nodeId}`,
    syncedBatch: 0,
    storeState: 'ok',
    wallMs: 0,
    load: 0,
    version: '0.1.0',
    configHash: '',
  };
}
