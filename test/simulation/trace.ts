import { hash64 } from '../../ports/hash.js';
import { EPOCH_WALL_MS, type VirtualTime } from './virtual-time.js';

const MASK = (1n << 64n) - 1n;
const PRIME = 0x9e3779b97f4a7c15n;

/** What happened, as one hash; and as a readable story when asked. The same seed gives the same hash. */
export class Trace {
  readonly story: string[] = [];
  readonly #time: VirtualTime;
  readonly keepsStory: boolean;
  #hash = 0x736565642d303031n;
  #pending: string[] = [];

  constructor(time: VirtualTime, keepStory: boolean) {
    this.#time = time;
    this.keepsStory = keepStory;
  }

  /** A message that arrives: part of the hash with its bytes. */
  delivered(line: string, payload: Uint8Array): void {
    this.#pending.push(`${this.#time.nowMs} ${line} ${payload.length}`);
    this.#fold(hash64(payload));
    if (this.keepsStory) this.tell(`${line} (${payload.length} bytes)`);
  }

  /** Anything else that happens: a fault, a start, a client's outcome. */
  note(line: string): void {
    this.#pending.push(`${this.#time.nowMs} ${line}`);
    if (this.#pending.length >= 64) this.#flush();
    if (this.keepsStory) this.tell(line);
  }

  hash(): string {
    this.#flush();
    return this.#hash.toString(16).padStart(16, '0');
  }

  #flush(): void {
    if (this.#pending.length === 0) return;
    this.#fold(hash64(Buffer.from(this.#pending.join('\n'))));
    this.#pending = [];
  }

  #fold(value: bigint): void {
    this.#hash = ((this.#hash ^ value) * PRIME + (this.#hash >> 29n)) & MASK;
  }

  /** For the story only. */
  tell(line: string): void {
    const wall = new Date(EPOCH_WALL_MS + this.#time.nowMs).toISOString().slice(11, 23);
    this.story.push(`${wall} ${line}`);
  }
}
