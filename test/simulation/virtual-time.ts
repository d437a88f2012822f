import type { Clock, TimerHandle, Timers } from '../../ports/clock.js';
import type { Random } from '../../ports/random.js';

/** Wall time at virtual time 0: 2025-06-15T13:20:00Z, inside an hour and a day. */
export const EPOCH_WALL_MS = 1_749_993_600_000;

/** Lets the event loop turn once in so many events, so that workers hear their parent. */
const EVENTS_PER_LOOP_TURN = 2_000;

interface Event {
  atMs: number;
  /** Seeded: events of one instant run in an order that differs from seed to seed. */
  tie: number;
  order: number;
  callback: (() => void) | undefined;
}

/** A wall clock that may be set: virtual time plus an offset of its own. */
export class VirtualClock implements Clock {
  offsetMs = 0;
  readonly #time: VirtualTime;

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  wallMs(): number {
    return Math.floor(EPOCH_WALL_MS + this.#time.nowMs + this.offsetMs);
  }

  monotonicMs(): number {
    return this.#time.nowMs;
  }
}

/**
 * Virtual time: a heap of events ordered by time and a seeded tiebreak. Between two events all microtasks
 * are drained, so whatever promises an event resolved have run before the next one. Nothing here waits for
 * real time.
 */
export class VirtualTime implements Timers {
  /** Milliseconds since the start. */
  nowMs = 0;
  /** Events run so far. */
  events = 0;
  /** Called after each event's microtasks; what it throws ends the run. */
  afterEvent: (() => void) | undefined;
  readonly #random: Random;
  readonly #heap: Event[] = [];
  #order = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** A new clock without offset. */
  clock(): VirtualClock {
    return new VirtualClock(this);
  }

  /** Events that wait, cancelled ones included. */
  get waiting(): number {
    return this.#heap.length;
  }

  after(delayMs: number, callback: () => void): TimerHandle {
    const event: Event = {
      atMs: this.nowMs + Math.max(0, Number.isFinite(delayMs) ? delayMs : 0),
      tie: this.#random.next(),
      order: this.#order++,
      callback,
    };
    push(this.#heap, event);
    return {
      cancel: () => {
        event.callback = undefined;
      },
    };
  }

  /** Runs every event up to and including `untilMs`, then stands there. */
  async run(untilMs: number): Promise<void> {
    await this.#loop(untilMs, undefined);
    this.nowMs = Math.max(this.nowMs, untilMs);
  }

  /**
   * Runs until the condition holds after an event, and tells whether it did: false when `untilMs` was
   * reached, or when nothing more can happen.
   */
  async runUntil(condition: () => boolean, untilMs: number): Promise<boolean> {
    const held = await this.#loop(untilMs, condition);
    if (!held) this.nowMs = Math.max(this.nowMs, untilMs);
    return held;
  }

  /**
   * Runs until a promise settles and gives its outcome. Throws when it has not by `withinMs` from now.
   * A test's way to await what needs virtual time to pass.
   */
  async settle<T>(promise: Promise<T>, withinMs = 60_000): Promise<T> {
    let settled = false;
    const note = () => {
      settled = true;
    };
    promise.then(note, note);
    const untilMs = this.nowMs + withinMs;
    if (!(await this.runUntil(() => settled, untilMs))) throw new Error(`not settled by ${untilMs} ms`);
    return promise;
  }

  async #loop(untilMs: number, condition: (() => boolean) | undefined): Promise<boolean> {
    await drainMicrotasks();
    for (;;) {
      if (condition?.()) return true;
      const next = this.#heap[0];
      if (next === undefined || next.atMs > untilMs) return false;
      pop(this.#heap);
      if (next.callback === undefined) continue;
      this.nowMs = next.atMs;
      next.callback();
      await drainMicrotasks();
      this.afterEvent?.();
      if (++this.events % EVENTS_PER_LOOP_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

const tick = (resolve: () => void) => process.nextTick(resolve);

/**
 * Resolves once no microtask is left (native promises only: the core uses no process.nextTick). Node runs
 * its tick queue when the microtask queue is empty, so a tick asked for from within a microtask comes after
 * all of them, and costs less than a turn of the event loop. The first await makes sure that we are in one.
 */
export async function drainMicrotasks(): Promise<void> {
  await undefined;
  await new Promise<void>(tick);
}

function before(a: Event, b: Event): boolean {
  if (a.atMs !== b.atMs) return a.atMs < b.atMs;
  return a.tie !== b.tie ? a.tie < b.tie : a.order < b.order;
}

function push(heap: Event[], event: Event): void {
  let at = heap.length;
  heap.push(event);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!before(event, heap[parent]!)) break;
    heap[at] = heap[parent]!;
    at = parent;
  }
  heap[at] = event;
}

function pop(heap: Event[]): void {
  const last = heap.pop()!;
  if (heap.length === 0) return;
  let at = 0;
  for (;;) {
    let child = at * 2 + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
    if (!before(heap[child]!, last)) break;
    heap[at] = heap[child]!;
    at = child;
  }
  heap[at] = last;
}
