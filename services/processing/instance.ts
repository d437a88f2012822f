import type { TallyringClient } from '../../client/client.js';
import { type CountLogOptions, logCounter } from '../../client/log-driven/count-log.js';
import type { LogCounter, LogCounterStatus } from '../../client/log-driven/log-counter.js';
import type { LogDrivenLimits } from '../../client/log-driven/options.js';
import { sleep } from '../../ports/clock.js';
import { hash64Text } from '../../ports/hash.js';
import { asTallyringError, type TallyringError } from '../../proto/errors.js';
import type { DeadLetters } from '../log/dead-letters.js';
import type { EventLog, LogRecord } from '../log/log.js';
import { EventRule } from './event-rule.js';
import { type HotVideo, HotVideos, type HotVideosOptions } from './hot-videos.js';
import { logSource } from './log-source.js';
import { assign } from './members.js';
import { Membership } from './membership.js';

export interface InstanceLimits extends LogDrivenLimits {
  dedupWindow: number;
  /** One page that is read from the log. */
  maxPageBytes: number;
  /** How often an instance notes that it lives, and after what silence the others share its partitions. */
  memberIntervalMs: number;
  deadAfterMs: number;
  hot: HotVideosOptions;
}

export interface InstanceParts {
  client: TallyringClient<'number' | 'bigint'>;
  log: EventLog;
  deadLetters: DeadLetters;
  /** Of the pipeline: its instances share the log's partitions. */
  pipeline: string;
  me: { name: string; incarnation: string; address: string };
  limits: InstanceLimits;
}

/** What an instance did since it started. */
export interface InstanceCounts {
  counted: number;
  duplicates: number;
  rejected: number;
}

interface Counting {
  counter: LogCounter<LogRecord>;
  hot: HotVideos;
}

/** The register of a partition's checkpoint. */
export function checkpointName(pipeline: string, partition: number): string {
  return `tallyring:checkpoint:${pipeline}:${partition}`;
}

/**
 * One of the processes that count a log: shares its partitions evenly with the others, takes over those of a dead
 * one, gives back those that are another's.
 */
export class ProcessingInstance {
  readonly counts: InstanceCounts = { counted: 0, duplicates: 0, rejected: 0 };
  readonly #parts: InstanceParts;
  readonly #membership: Membership;
  readonly #countings = new Map<number, Counting>();
  /** Counters that give their partition back. */
  readonly #leaving = new Map<LogCounter<LogRecord>, Promise<void>>();
  #memberError: TallyringError | undefined;
  #stopping = false;
  #ended: Promise<void> | undefined;

  constructor(parts: InstanceParts) {
    this.#parts = parts;
    const { client, pipeline, me, limits } = parts;
    this.#membership = new Membership({
      register: client.register(`tallyring:processing:${pipeline}`),
      clock: client.parts.ports.clock,
      me,
      deadAfterMs: limits.deadAfterMs,
      timeoutMs: limits.attemptTimeoutMs,
    });
  }

  /** Partitions that are this instance's, and how each of them is. */
  statuses(): Map<number, LogCounterStatus> {
    return new Map([...this.#countings].map(([partition, { counter }]) => [partition, counter.status()]));
  }

  /** Names of the instances that live, as of the last time that the store could be asked. */
  get members(): string[] {
    return this.#membership.live.map(({ name }) => name);
  }

  /** Why the others could not be told last time that this instance lives. */
  get memberError(): TallyringError | undefined {
    return this.#memberError;
  }

  /** The hottest videos of the partitions that this instance owns, each with its partition. */
  hottest(limit: number): Map<number, Record<string, HotVideo[]>> {
    const nowMs = this.#parts.client.parts.ports.clock.monotonicMs();
    const owned = [...this.#countings].filter(([, { counter }]) => counter.status().state === 'owner');
    return new Map(owned.map(([partition, { hot }]) => [partition, hot.report(nowMs, limit)]));
  }

  /** Goes on until it is stopped; never rejects. */
  run(): Promise<void> {
    this.#ended ??= this.#run();
    return this.#ended;
  }

  /** Commits what is under way and gives everything back; resolves then. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#giveBackAll();
    await this.run();
  }

  /** Ends at once, as if killed: others complete what is under way. */
  abort(): void {
    this.#stopping = true;
    for (const { counter } of this.#countings.values()) counter.abort();
    for (const counter of this.#leaving.keys()) counter.abort();
  }

  async #run(): Promise<void> {
    const { timers, random } = this.#parts.client.parts.ports;
    const { memberIntervalMs } = this.#parts.limits;
    while (!this.#stopping) {
      try {
        await this.#membership.beat();
        this.#memberError = undefined;
      } catch (error) {
        this.#memberError = asTallyringError(error);
        // Another one has this name: what was this instance's is the other one's.
        if (this.#memberError.code === 'FAILED_PRECONDITION') this.#giveBackAll();
      }
      if (!this.#stopping && this.#memberError === undefined) this.#share();
      if (!this.#stopping) await sleep(timers, memberIntervalMs * (0.75 + random.next() / 2));
    }
    await Promise.all(this.#leaving.values());
    await this.#membership.leave().catch(() => {});
  }

  #share(): void {
    const { log, me } = this.#parts;
    const weight = (partition: number, name: string) => hash64Text(`${partition} ${name}`);
    const mine = new Set(assign(log.description.partitions, this.members, weight).get(me.name));
    for (const partition of [...this.#countings.keys()]) if (!mine.has(partition)) this.#giveBack(partition);
    for (const partition of mine) if (!this.#countings.has(partition)) this.#take(partition);
  }

  #take(partition: number): void {
    const { client, pipeline, me, log, limits } = this.#parts;
    const hot = new HotVideos(limits.hot, client.parts.ports.clock.monotonicMs());
    const { maxPageBytes, attemptTimeoutMs: timeoutMs } = limits;
    const options: CountLogOptions<LogRecord> = {
      checkpoint: checkpointName(pipeline, partition),
      source: logSource(log, partition, { maxPageBytes, timeoutMs }),
      rule: this.#rule(partition, hot),
      name: me.name,
      phase: partition / log.description.partitions,
      ...limits,
    };
    const counter = logCounter(client.parts, options);
    this.#countings.set(partition, { counter, hot });
    void counter.run();
  }

  #rule(partition: number, hot: HotVideos): EventRule {
    const { deadLetters, limits } = this.#parts;
    const { counts } = this;
    return new EventRule({
      partition,
      dedupWindow: limits.dedupWindow,
      async reject(letters, { timeoutMs = limits.attemptTimeoutMs, signal }) {
        await deadLetters.put(letters, { timeoutMs, signal });
        counts.rejected += letters.length;
      },
      onCounted({ eventType, videoId }) {
        counts.counted++;
        hot.add(eventType, videoId);
      },
      onDuplicate() {
        counts.duplicates++;
      },
    });
  }

  #giveBackAll(): void {
    for (const partition of [...this.#countings.keys()]) this.#giveBack(partition);
  }

  #giveBack(partition: number): void {
    const counting = this.#countings.get(partition);
    if (counting === undefined) return;
    this.#countings.delete(partition);
    const { counter } = counting;
    this.#leaving.set(
      counter,
      counter.stop().finally(() => this.#leaving.delete(counter)),
    );
  }
}
