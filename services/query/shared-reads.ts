import { LRUCache } from 'lru-cache';
import type { Clock } from '../../ports/clock.js';

export interface SharedReadsOptions {
  maxCachedPoints: number;
  maxCacheAgeMs: number;
  clock: Clock;
}

export interface ReadPlan<T> {
  /** Equal reads have equal names. */
  name: string;
  /** Whether the answer may be kept for a while. */
  isSettled: boolean;
  /** Reads the store even when an answer is kept. */
  bypass: boolean;
  load(): Promise<T>;
  /** How much of the cache an answer takes; 0: it is not kept. */
  pointsOf(answer: T): number;
}

export interface SharedAnswer<T> {
  value: T;
  /** Of an answer that was kept. */
  ageMs?: number;
}

interface Running {
  done: Promise<unknown>;
  /** The read after the one under way, for all who came meanwhile. */
  next?: Promise<unknown>;
}

/**
 * One read of the store for many callers. Who comes while an equal read is under way shares the *next* one: the
 * one under way may have passed a replica before something was acknowledged that the newcomer knows of.
 */
export class SharedReads {
  readonly #kept: LRUCache<string, { value: object; atMs: number; points: number }>;
  readonly #running = new Map<string, Running>();
  readonly #options: SharedReadsOptions;

  constructor(options: SharedReadsOptions) {
    this.#options = options;
    this.#kept = new LRUCache({ maxSize: options.maxCachedPoints, sizeCalculation: ({ points }) => points });
  }

  async read<T extends object>(plan: ReadPlan<T>): Promise<SharedAnswer<T>> {
    const { name, isSettled, bypass } = plan;
    if (isSettled && !bypass) {
      const kept = this.#kept.get(name);
      const ageMs = kept === undefined ? Infinity : this.#options.clock.monotonicMs() - kept.atMs;
      // A name is read with one type of answer.
      if (kept !== undefined && ageMs < this.#options.maxCacheAgeMs) return { value: kept.value as T, ageMs };
    }
    const running = this.#running.get(name);
    if (running === undefined) return { value: await this.#start(plan) };
    running.next ??= running.done.then(
      () => this.#start(plan),
      () => this.#start(plan),
    );
    return { value: (await running.next) as T };
  }

  #start<T extends object>(plan: ReadPlan<T>): Promise<T> {
    const done = this.#load(plan);
    const running: Running = { done };
    this.#running.set(plan.name, running);
    const end = () => {
      if (running.next === undefined) this.#running.delete(plan.name);
    };
    done.then(end, end);
    return done;
  }

  async #load<T extends object>({ name, isSettled, load, pointsOf }: ReadPlan<T>): Promise<T> {
    const atMs = this.#options.clock.monotonicMs();
    const value = await load();
    const points = isSettled ? pointsOf(value) : 0;
    if (points > 0) this.#kept.set(name, { value, atMs, points });
    return value;
  }
}
