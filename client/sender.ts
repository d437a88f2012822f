import { type FlushPart, type PartOutcome, sendPart } from './flush-part.js';
import type { Topology } from './topology.js';

export interface SenderParts {
  topology: Topology;
  maxInFlightFlushes: number;
  /** One request: small enough that a node is not busy with it for long, for others wait behind it. */
  maxRequestBytes: number;
  onOutcome(part: FlushPart, outcome: PartOutcome): void;
}

/** Parts on their way: at most so many in flight, the others wait in order. */
export class Sender {
  readonly #parts: SenderParts;
  readonly #ready: FlushPart[] = [];
  readonly #open = new Set<FlushPart>();
  readonly #inFlightByNode = new Map<string, number>();
  #inFlight = 0;
  #openSeries = 0;
  #closed = false;

  constructor(parts: SenderParts) {
    this.#parts = parts;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Whether a part waits until another one is done. */
  get isFull(): boolean {
    return this.#ready.length > 0;
  }

  /** Series of all parts that are not done. */
  get openSeries(): number {
    return this.#openSeries;
  }

  /** Parts that are not done. */
  get open(): Iterable<FlushPart> {
    return this.#open;
  }

  /** Nodes with half of all requests that may be in flight: perhaps they stall, and must not take up all. */
  crowdedNodes(): Set<string> {
    const half = Math.ceil(this.#parts.maxInFlightFlushes / 2);
    const crowded = new Set<string>();
    for (const [nodeId, inFlight] of this.#inFlightByNode) if (inFlight >= half) crowded.add(nodeId);
    return crowded;
  }

  send(parts: readonly FlushPart[]): void {
    for (const part of parts) {
      this.#ready.push(part);
      this.#open.add(part);
      this.#openSeries += part.flush.series.length;
    }
    this.#sendReady();
  }

  #sendReady(): void {
    const { topology, maxInFlightFlushes, maxRequestBytes, onOutcome } = this.#parts;
    while (this.#ready.length > 0 && this.#inFlight < maxInFlightFlushes && !this.#closed) {
      const part = this.#ready.shift()!;
      this.#count(part, 1);
      const { ringEpoch } = topology.description;
      const maxBatchBytes = Math.min(topology.description.maxBatchBytes, maxRequestBytes);
      void sendPart(part, { ringEpoch, maxBatchBytes }).then((outcome) => {
        this.#count(part, -1);
        this.#open.delete(part);
        this.#openSeries -= part.flush.series.length;
        if (this.#closed) return;
        this.#sendReady();
        onOutcome(part, outcome);
      });
    }
  }

  #count({ node }: FlushPart, change: 1 | -1): void {
    this.#inFlight += change;
    if (node === undefined) return;
    this.#inFlightByNode.set(node.nodeId, (this.#inFlightByNode.get(node.nodeId) ?? 0) + change);
  }

  close(): void {
    this.#closed = true;
  }
}
