import type { Clock } from '../../ports/clock.js';
import type { CallOptions } from '../../proto/calls.js';
import { TallyringError } from '../../proto/errors.js';
import type { Frame } from './frame.js';

export interface AppendGroupsParts {
  clock: Clock;
  /** Calls on their way at a time; what comes beyond goes together in the next one. */
  maxInFlight: number;
  /** Bytes of one call, and of all that wait for one. */
  maxCallBytes: number;
  maxWaitingBytes: number;
  /** One call. Resolves with the first offset of each frame, in order. */
  send(frames: readonly Frame[], timeoutMs: number): Promise<number[]>;
}

interface Waiting {
  frames: readonly Frame[];
  bytes: number;
  deadlineMs: number;
  resolve(firstOffsets: number[]): void;
  reject(error: unknown): void;
}

/**
 * Many small appends of a process as few larger ones: while calls are on their way, what comes meanwhile waits
 * and then goes in one. An idle log is asked at once; a busy one is spared a call for each append.
 */
export class AppendGroups {
  readonly #parts: AppendGroupsParts;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #inFlight = 0;

  constructor(parts: AppendGroupsParts) {
    this.#parts = parts;
  }

  /**
   * The first offset of each frame. Rejects as the call does that they went with; nothing was applied when they
   * never left: OVERLOADED, WRITE_TIMEOUT, or the reason of the signal. Once they left, the signal ends only the wait.
   */
  append(frames: readonly Frame[], { timeoutMs, signal }: CallOptions): Promise<number[]> {
    const { maxWaitingBytes, clock } = this.#parts;
    const bytes = frames.reduce((sum, frame) => sum + frame.bytes.length, 0);
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    if (this.#waitingBytes > 0 && this.#waitingBytes + bytes > maxWaitingBytes) {
      const text = `${this.#waitingBytes} bytes already wait to be sent to the log; slow down`;
      return Promise.reject(new TallyringError('OVERLOADED', text));
    }
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#drop(waiting);
        reject(signal!.reason as Error);
      };
      const end = () => signal?.removeEventListener('abort', abort);
      const waiting: Waiting = {
        frames,
        bytes,
        deadlineMs: clock.monotonicMs() + timeoutMs,
        resolve(firstOffsets) {
          end();
          resolve(firstOffsets);
        },
        reject(error) {
          end();
          reject(error as Error);
        },
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiting.push(waiting);
      this.#waitingBytes += bytes;
      this.#pump();
    });
  }

  #drop(waiting: Waiting): void {
    const at = this.#waiting.indexOf(waiting);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    this.#waitingBytes -= waiting.bytes;
  }

  #pump(): void {
    while (this.#inFlight < this.#parts.maxInFlight && this.#waiting.length > 0) {
      const group = this.#takeGroup();
      if (group.length > 0) void this.#send(group);
    }
  }

  /** The next appends that fit into one call; those whose time is over are told so. */
  #takeGroup(): Waiting[] {
    const nowMs = this.#parts.clock.monotonicMs();
    const group: Waiting[] = [];
    let bytes = 0;
    let taken = 0;
    for (const one of this.#waiting) {
      if (group.length > 0 && bytes + one.bytes > this.#parts.maxCallBytes) break;
      if (group.length > 0 && !alike(one.deadlineMs - nowMs, group[0]!.deadlineMs - nowMs)) break;
      taken++;
      this.#waitingBytes -= one.bytes;
      if (one.deadlineMs <= nowMs) {
        const text = 'the log was busy until the deadline; nothing was sent';
        one.reject(new TallyringError('WRITE_TIMEOUT', text, { mayHaveApplied: false, retryable: true }));
        continue;
      }
      group.push(one);
      bytes += one.bytes;
    }
    this.#waiting = this.#waiting.slice(taken);
    return group;
  }

  async #send(group: readonly Waiting[]): Promise<void> {
    const { clock, send } = this.#parts;
    this.#inFlight++;
    try {
      const timeoutMs = Math.min(...group.map((one) => one.deadlineMs)) - clock.monotonicMs();
      const firstOffsets = await send(
        group.flatMap((one) => one.frames),
        timeoutMs,
      );
      let at = 0;
      for (const one of group) {
        one.resolve(firstOffsets.slice(at, at + one.frames.length));
        at += one.frames.length;
      }
    } catch (error) {
      for (const one of group) one.reject(error);
    } finally {
      this.#inFlight--;
      this.#pump();
    }
  }
}

/** A call has the shortest of their deadlines, so only those go together whose time left is about the same. */
function alike(leftMs: number, otherMs: number): boolean {
  return leftMs <= otherMs * 2 && otherMs <= leftMs * 2;
}
