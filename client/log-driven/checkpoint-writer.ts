import { sleep } from '../../ports/clock.js';
import { asTallyringError, type TallyringError } from '../../proto/errors.js';
import { backoffMs } from '../backoff.js';
import type { ClientPorts } from '../ports.js';
import type { RegisterOwner } from '../register.js';
import { type Checkpoint, encodeCheckpoint } from './checkpoint.js';

export interface CheckpointWriterParts {
  owner: RegisterOwner;
  ports: Pick<ClientPorts, 'clock' | 'timers' | 'random'>;
  /** Of one attempt. */
  timeoutMs: number;
  signal: AbortSignal;
  onTrouble(error: TallyringError): void;
}

type Change = Partial<Omit<Checkpoint, 'beat'>>;

/**
 * The owner's checkpoint: writes go one after the other, and each is repeated until a quorum holds it. A write
 * that fails FENCED ends everything: somebody else owns the partition.
 */
export class CheckpointWriter {
  readonly #parts: CheckpointWriterParts;
  /** As it is to be with the next write: what is staged is in it. */
  #next: Checkpoint;
  #held: Checkpoint;
  #queue: Promise<void> = Promise.resolve();
  #writing = 0;
  #writtenAtMs: number;
  #isStaged = false;

  constructor(parts: CheckpointWriterParts, checkpoint: Checkpoint) {
    this.#parts = parts;
    this.#next = checkpoint;
    this.#held = checkpoint;
    this.#writtenAtMs = parts.ports.clock.monotonicMs();
  }

  /** What is known to stand in the register. */
  get held(): Checkpoint {
    return this.#held;
  }

  /** What the next write would say. */
  get next(): Checkpoint {
    return this.#next;
  }

  /** Whether something waits for the next write. */
  get isStaged(): boolean {
    return this.#isStaged;
  }

  /** Milliseconds since the newest write; 0 while there is one. */
  get idleMs(): number {
    return this.#writing > 0 ? 0 : this.#parts.ports.clock.monotonicMs() - this.#writtenAtMs;
  }

  /** Goes with the next write, whoever needs it. */
  stage(change: Change): void {
    this.#next = { ...this.#next, ...change };
    this.#isStaged = true;
  }

  /** Resolves when a quorum holds the change. Rejects with FENCED, or with the signal's reason. */
  write(change: Change): Promise<void> {
    this.#next = { ...this.#next, ...change, beat: this.#next.beat + 1 };
    this.#isStaged = false;
    const checkpoint = this.#next;
    this.#writing++;
    const written = this.#queue.then(() => this.#writeUntilHeld(checkpoint));
    this.#queue = written.then(
      () => this.#done(),
      () => this.#done(),
    );
    return written;
  }

  #done(): void {
    this.#writing--;
    this.#writtenAtMs = this.#parts.ports.clock.monotonicMs();
  }

  async #writeUntilHeld(checkpoint: Checkpoint): Promise<void> {
    const { owner, ports, timeoutMs, signal, onTrouble } = this.#parts;
    const value = encodeCheckpoint(checkpoint);
    for (let failures = 0; ; ) {
      signal.throwIfAborted();
      try {
        await owner.write(value, { timeoutMs, signal });
        this.#held = checkpoint;
        return;
      } catch (thrown) {
        signal.throwIfAborted();
        const error = asTallyringError(thrown);
        if (error.code === 'FENCED' || error.code === 'INVALID_ARGUMENT') throw error;
        onTrouble(error);
      }
      await sleep(ports.timers, backoffMs(++failures, ports.random));
    }
  }
}
