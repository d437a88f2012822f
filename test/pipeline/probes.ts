import { partitionOf } from '../../services/event.js';
import type { Caller } from './caller.js';
import { countsOf } from './counts.js';
import type { Pipeline } from './pipeline.js';
import type { SentEvent, Tally } from './tally.js';

const EVERY_MS = 500;
const LOOK_MS = 200;
const EVENT_TYPE = 'probe';

/**
 * Measures how long an acknowledged event takes to be counted: sends one of a key of its own into every partition
 * time and again, and looks when the query service shows it.
 */
export class Probes {
  readonly #pipeline: Pipeline;
  readonly #caller: Caller;
  readonly #tally: Tally;
  readonly #unseen = new Map<string, number>();
  readonly #tookMs: number[] = [];
  readonly #sending = new Set<Promise<void>>();
  #stopping = false;
  #running: Promise<unknown> | undefined;
  #sent = 0;

  constructor(parts: { pipeline: Pipeline; caller: Caller; tally: Tally }) {
    this.#pipeline = parts.pipeline;
    this.#caller = parts.caller;
    this.#tally = parts.tally;
  }

  start(): void {
    this.#running = Promise.all([this.#sendAll(), this.#look()]);
    this.#running.catch(() => {}); // `stop` throws it
  }

  /** Sends no more, and resolves when all that were sent are seen. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }

  /** Seconds from acknowledgement to count. */
  get figures(): { sent: number; median: number; longest: number } {
    const sorted = [...this.#tookMs].sort((a, b) => a - b);
    const seconds = (ms: number | undefined) => (ms ?? 0) / 1_000;
    return {
      sent: this.#sent,
      median: seconds(sorted[Math.floor(sorted.length / 2)]),
      longest: seconds(sorted.at(-1)),
    };
  }

  async #sendAll(): Promise<void> {
    const { partitions } = this.#pipeline.log;
    for (let round = 0; !this.#stopping; round++) {
      for (let partition = 0; partition < partitions; partition++) {
        const sending = this.#send(keyOf({ round, partition, partitions }));
        this.#sending.add(sending);
        sending.finally(() => this.#sending.delete(sending)).catch(() => {});
      }
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
    await Promise.all(this.#sending);
  }

  async #send(videoId: string): Promise<void> {
    const event: SentEvent = {
      eventId: videoId,
      videoId,
      eventType: EVENT_TYPE,
      timestamp: Date.now(),
      value: 1,
    };
    this.#tally.add(event);
    this.#sent++;
    const { atMs } = await this.#caller.deliver([event]);
    this.#unseen.set(videoId, atMs);
  }

  async #look(): Promise<void> {
    while (!this.#stopping || this.#sending.size > 0 || this.#unseen.size > 0) {
      const counts = await countsOf(this.#pipeline, EVENT_TYPE, [...this.#unseen.keys()]);
      const nowMs = performance.now();
      for (const [videoId, count] of counts ?? []) {
        if (count === 0) continue;
        this.#tookMs.push(nowMs - this.#unseen.get(videoId)!);
        this.#unseen.delete(videoId);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }
}

/** A name that falls into the partition. */
function keyOf({
  round,
  partition,
  partitions,
}: Record<'round' | 'partition' | 'partitions', number>): string {
  for (let i = 0; ; i++) {
    const name = `probe-${round}-${partition}-${i}`;
    if (partitionOf(name, partitions) === partition) return name;
  }
}
