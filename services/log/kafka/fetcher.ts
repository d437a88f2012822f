import type { Clock, Timers } from '../../../ports/clock.js';
import type { CallOptions } from '../../../proto/calls.js';
import { TallyringError } from '../../../proto/errors.js';
import type { KafkaConsumer, KafkaFetched } from './client.js';
import { withDeadline } from './deadline.js';
import { fromKafkaError, hasCode } from './errors.js';
import type { Topic } from './topic.js';

/** A broker serves one request of a connection at a time, so none waits there for long. */
const LONGEST_FETCH_MS = 500;
const READ_UNCOMMITTED = 0;

export interface FetcherParts {
  topic: Topic;
  clock: Clock;
  timers: Timers;
  makeConsumer(): KafkaConsumer;
}

/** Reads partitions by offset. Each has a connection of its own: one that waits must not hold up another. */
export class Fetcher {
  readonly #parts: FetcherParts;
  readonly #consumers = new Map<number, KafkaConsumer>();

  constructor(parts: FetcherParts) {
    this.#parts = parts;
  }

  /**
   * What the partition has from an offset on, waiting up to `waitMs` while it has nothing. `undefined`: the offset
   * is outside of the partition.
   */
  async fetch(
    partition: number,
    from: number,
    options: CallOptions & { maxBytes: number; waitMs: number },
  ): Promise<KafkaFetched | undefined> {
    const { clock } = this.#parts;
    const startMs = clock.monotonicMs();
    // The answer to an empty wait has to be back before the call's own deadline.
    const waitMs = Math.min(options.waitMs, options.timeoutMs / 2);
    for (;;) {
      const passedMs = clock.monotonicMs() - startMs;
      const maxWaitMs = Math.min(Math.max(0, waitMs - passedMs), LONGEST_FETCH_MS);
      const timeoutMs = Math.max(1, options.timeoutMs - passedMs);
      const fetched = await this.#once(partition, from, { ...options, maxWaitMs, timeoutMs });
      if (fetched === undefined || fetched.records?.length) return fetched;
      if (clock.monotonicMs() - startMs >= waitMs) return fetched;
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#consumers.values()].map((consumer) => consumer.close()));
    this.#consumers.clear();
  }

  async #once(
    partition: number,
    from: number,
    options: CallOptions & { maxBytes: number; maxWaitMs: number },
  ): Promise<KafkaFetched | undefined> {
    const { topic, timers } = this.#parts;
    const { maxBytes, maxWaitMs } = options;
    const consumer = this.#consumerOf(partition);
    const fetch = async () => {
      const wanted = {
        partition,
        currentLeaderEpoch: -1,
        fetchOffset: BigInt(from),
        lastFetchedEpoch: -1,
        partitionMaxBytes: maxBytes,
      };
      return await consumer.fetch({
        node: await topic.leaderOf(partition),
        topics: [{ topicId: topic.id, partitions: [wanted] }],
        maxWaitTime: Math.ceil(maxWaitMs),
        minBytes: 1,
        maxBytes,
        isolationLevel: READ_UNCOMMITTED,
      });
    };
    try {
      const { responses } = await withDeadline(fetch(), options, { timers, writes: false });
      const fetched = responses[0]?.partitions[0];
      if (fetched !== undefined) return fetched;
      throw new TallyringError('INTERNAL', 'Kafka answered a fetch without its partition');
    } catch (error) {
      if (hasCode(error, 'OFFSET_OUT_OF_RANGE')) return undefined;
      if (options.signal?.aborted) throw error;
      topic.forget();
      consumer.clearMetadata();
      // It tells a topic that was made anew from one whose broker is away.
      if (hasCode(error, 'UNKNOWN_TOPIC_ID')) await topic.check();
      throw fromKafkaError(error, { writes: false });
    }
  }

  #consumerOf(partition: number): KafkaConsumer {
    const found = this.#consumers.get(partition);
    if (found !== undefined) return found;
    const made = this.#parts.makeConsumer();
    this.#consumers.set(partition, made);
    return made;
  }
}
