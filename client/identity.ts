import type { Producer } from '../counter/producer.js';
import type { Clock, Timers } from '../ports/clock.js';
import type { Logger } from '../ports/logger.js';
import type { Random } from '../ports/random.js';
import type { MintRequest } from '../proto/calls.js';
import { asTallyringError, TallyringError } from '../proto/errors.js';
import { backoffMs } from './backoff.js';
import type { Topology } from './topology.js';

const ROLL_INTERVAL_MS = 24 * 3_600_000;
/** A spare id that lay about for longer is not used: its time must stay near its first use. */
const SPARE_AGE_MS = 3_600_000;
/** Shares of maxCells from which a spare id is fetched, and from which a roll makes room. */
const SPARE_FROM = 0.75;
const ROLL_FROM = 0.9;
/** A roll that would free little is not repeated faster: ids are to stay few. */
const MIN_ROLL_INTERVAL_MS = 1_000;

/** A fresh producerId from any node. Throws the last node's error when none gives one. */
export async function mintFrom(topology: Topology, request: MintRequest, timeoutMs: number): Promise<Buffer> {
  const tried = new Set<string>();
  let last: TallyringError | undefined;
  for (;;) {
    const node = topology.choose([], { except: tried });
    if (node === undefined) {
      throw last ?? new TallyringError('UNAVAILABLE', 'no node is known', { mayHaveApplied: false });
    }
    tried.add(node.nodeId);
    try {
      const producerId = await node.connection.mintProducer(request, { timeoutMs });
      topology.nodes.succeeded(node.nodeId);
      return producerId;
    } catch (thrown) {
      last = asTallyringError(thrown);
      topology.nodes.failed(node.nodeId, last);
    }
  }
}

export interface IdentityParts {
  producer: Producer;
  topology: Topology;
  clock: Clock;
  timers: Timers;
  random: Random;
  logger: Logger;
  maxCells: number;
  timeoutMs: number;
  /** Cells that are not acknowledged, about: a roll keeps them. */
  unacknowledgedCells(): number;
  onRolled(): void;
}

/**
 * Rolls the producer to fresh ids, fetched in the background: once a day, and when memory fills up. The
 * roll drops the acknowledged cells, which are at QUORUM all (flusher.ts sees to that), so the producer
 * never meets a cell again under an id whose former state it forgot.
 */
export class Identity {
  /** `review` is due when the producer holds more cells. */
  readonly reviewAbove: number;
  readonly #parts: IdentityParts;
  #spare: Buffer | undefined;
  #spareAtMs = 0;
  #rolledAtMs: number;
  #minting = false;
  #closed = false;

  constructor(parts: IdentityParts) {
    this.#parts = parts;
    this.reviewAbove = Math.floor(parts.maxCells * SPARE_FROM);
    this.#rolledAtMs = parts.clock.monotonicMs();
  }

  /** Whether cells fit without a roll. */
  get hasRoom(): boolean {
    return this.#parts.producer.cells <= this.#parts.maxCells * ROLL_FROM;
  }

  /** Called after adds above `reviewAbove`, after acknowledgements and now and then: rolls when it is time. */
  review(): void {
    const { producer, clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    const ageMs = nowMs - this.#rolledAtMs;
    const isOld = ageMs >= ROLL_INTERVAL_MS;
    if (!isOld && producer.cells <= this.reviewAbove) return;
    if (this.#spare === undefined || nowMs - this.#spareAtMs > SPARE_AGE_MS) {
      this.#spare = undefined;
      if (!this.#minting) void this.#mint();
      return;
    }
    if (!isOld && (this.hasRoom || !this.#isWorthwhile(ageMs))) return;
    producer.roll(this.#spare);
    this.#spare = undefined;
    this.#rolledAtMs = nowMs;
    this.#parts.onRolled();
  }

  #isWorthwhile(ageMs: number): boolean {
    const kept = this.#parts.unacknowledgedCells();
    if (kept <= this.#parts.maxCells / 2) return true;
    return ageMs >= MIN_ROLL_INTERVAL_MS && kept < this.#parts.producer.cells;
  }

  async #mint(): Promise<void> {
    this.#minting = true;
    const { producer, topology, clock, timers, random, logger, timeoutMs } = this.#parts;
    for (let failures = 0; !this.#closed && this.#spare === undefined; ) {
      try {
        const spare = await mintFrom(topology, { above: producer.producerId }, timeoutMs);
        if (spare.compare(producer.producerId) <= 0) {
          throw new TallyringError('INTERNAL', 'a node minted a producerId that is not younger');
        }
        this.#spare = spare;
        this.#spareAtMs = clock.monotonicMs();
      } catch (error) {
        logger.warn({ error: asTallyringError(error).message }, 'no fresh producerId yet');
        const delayMs = backoffMs(++failures, random);
        await new Promise<void>((resolve) => void timers.after(delayMs, resolve));
      }
    }
    this.#minting = false;
    if (!this.#closed) this.review();
  }

  close(): void {
    this.#closed = true;
  }
}
