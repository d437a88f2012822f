import type { Timers } from '../../../ports/clock.js';
import type { CallOptions } from '../../../proto/calls.js';
import { TallyringError } from '../../../proto/errors.js';
import type { DeadLetter, DeadLetterKey, DeadLetters, Replay, StoredDeadLetter } from '../dead-letters.js';
import { parseLetter, parseReplay, writeLetter, writeReplay } from '../letter-codec.js';
import type { KafkaMessage, KafkaProducer } from './client.js';
import { withDeadline } from './deadline.js';
import { fromKafkaError } from './errors.js';
import type { Fetcher } from './fetcher.js';
import type { Topic } from './topic.js';

const ACKS_ALL = -1;
const FETCH_BYTES = 4 * 1024 * 1024;
const MAX_LETTERS_PER_SEND = 500;

export interface KafkaLettersParts {
  topic: Topic;
  producer: KafkaProducer;
  fetcher: Fetcher;
  timers: Timers;
  maxLetters: number;
}

/**
 * Dead letters on a compacted topic of one partition. A letter and how far its replay is have keys of their own,
 * so that compaction keeps both; who uses them follows the topic and has all of them in memory.
 */
export class KafkaLetters implements DeadLetters {
  readonly #parts: KafkaLettersParts;
  readonly #letters = new Map<string, DeadLetter>();
  readonly #replays = new Map<string, Replay>();
  #next = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: KafkaLettersParts) {
    this.#parts = parts;
  }

  put(letters: readonly DeadLetter[], options: CallOptions): Promise<void> {
    return this.#inTurn(async () => {
      await this.#follow(options);
      const fresh = new Map(letters.map((letter) => [nameOf(letter), letter]));
      for (const name of this.#letters.keys()) fresh.delete(name);
      if (this.#letters.size + fresh.size > this.#parts.maxLetters) {
        const text = `the log holds ${this.#letters.size} dead letters: find out why records do not count, and raise maxDeadLetters`;
        throw new TallyringError('OVERLOADED', text);
      }
      const messages = [...fresh].map(([name, letter]) =>
        this.#message(`letter ${name}`, writeLetter(letter)),
      );
      for (let i = 0; i < messages.length; i += MAX_LETTERS_PER_SEND) {
        await this.#send(messages.slice(i, i + MAX_LETTERS_PER_SEND), options);
      }
    });
  }

  list(after: DeadLetterKey | undefined, limit: number, options: CallOptions): Promise<StoredDeadLetter[]> {
    return this.#inTurn(async () => {
      await this.#follow(options);
      return [...this.#letters.values()]
        .filter((letter) => after === undefined || compare(letter, after) > 0)
        .sort(compare)
        .slice(0, limit)
        .map((letter) => {
          const replay = this.#replays.get(nameOf(letter));
          return replay ? { ...letter, replay } : letter;
        });
    });
  }

  mark(key: DeadLetterKey, replay: Replay, options: CallOptions): Promise<void> {
    return this.#inTurn(async () => {
      await this.#follow(options);
      const name = nameOf(key);
      if (!this.#letters.has(name)) {
        throw new TallyringError('INVALID_ARGUMENT', `there is no dead letter ${name}`);
      }
      await this.#send([this.#message(`replay ${name}`, writeReplay(replay))], options);
    });
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(run);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** Reads the topic up to its end. */
  async #follow(options: CallOptions): Promise<void> {
    const { fetcher, topic } = this.#parts;
    for (;;) {
      const fetched = await fetcher.fetch(0, this.#next, { ...options, maxBytes: FETCH_BYTES, waitMs: 0 });
      if (fetched === undefined) {
        throw new TallyringError('DATA_LOSS', `topic ${topic.name} ends before what was read of it`);
      }
      for (const batch of fetched.records ?? []) {
        const first = Number(batch.firstOffset);
        for (const { offsetDelta, key, value } of batch.records) {
          if (first + offsetDelta >= this.#next && key && value) this.#take(key.toString(), value);
        }
        this.#next = Math.max(this.#next, first + batch.lastOffsetDelta + 1);
      }
      if (this.#next >= Number(fetched.highWatermark)) return;
    }
  }

  #take(key: string, value: Buffer): void {
    const [kind, name] = key.split(' ');
    if (kind === 'replay') this.#replays.set(name!, parseReplay(value));
    // The first one stays, whoever put it again at the same moment.
    else if (kind === 'letter' && !this.#letters.has(name!)) this.#letters.set(name!, parseLetter(value));
  }

  #message(key: string, value: Buffer): KafkaMessage {
    return { topic: this.#parts.topic.name, partition: 0, key: Buffer.from(key), value };
  }

  async #send(messages: KafkaMessage[], options: CallOptions): Promise<void> {
    const { topic, producer, timers } = this.#parts;
    const send = async () => {
      await topic.check();
      await producer.send({ messages, acks: ACKS_ALL });
    };
    try {
      await withDeadline(send(), options, { timers, writes: true });
    } catch (error) {
      if (options.signal?.aborted) throw error;
      topic.forget();
      producer.clearMetadata();
      throw fromKafkaError(error, { writes: true });
    }
  }
}

function nameOf({ partition, offset }: DeadLetterKey): string {
  return `${partition}:${offset}`;
}

function compare(a: DeadLetterKey, b: DeadLetterKey): number {
  return a.partition - b.partition || a.offset - b.offset;
}
