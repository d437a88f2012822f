import { TallyringError } from '../../proto/errors.js';
import type { BlockHead } from './block.js';
import { lastOffsetOf } from './block.js';

/** A partition's oldest block, as far as retention needs it. */
export interface OldestBlock {
  lastOffset: number;
  appendedAtMs: number;
  position: number;
}

/** LevelDB keeps at most the writes of three generations of its write buffer in its own logs (node markers.ts). */
const GENERATIONS = 4;

/** What the log knows in memory of one partition: all of it durable. */
export class Partition {
  readonly number: number;
  start = 0;
  end = 0;
  released = 0;
  oldest: OldestBlock | undefined;
  /** Bytes of all blocks that the partition ever had. */
  endPosition = 0;
  /** Where each of the last generations of commits began, oldest first. */
  marks: number[] = [0];
  /** Why the partition answers nothing any more. */
  damage: TallyringError | undefined;

  constructor(number: number) {
    this.number = number;
  }

  get retainedBytes(): number {
    return this.endPosition - (this.oldest?.position ?? this.endPosition);
  }

  get stats() {
    const { number, start, end, released, retainedBytes } = this;
    return { partition: number, start, end, released, bytes: retainedBytes };
  }

  /** From where on blocks are to be checked at the next start. */
  get checkFrom(): number {
    return Math.max(this.start, this.marks[0]!);
  }

  /** Begins a new generation. That of a damaged partition stays, so that the damage is found again. */
  mark(): void {
    if (this.damage !== undefined) return;
    this.marks.push(this.end);
    if (this.marks.length > GENERATIONS) this.marks.shift();
  }

  /** Takes a block in that is durable now. */
  grow(head: BlockHead, bytes: number): void {
    const lastOffset = lastOffsetOf(head);
    this.oldest ??= { lastOffset, appendedAtMs: head.appendedAtMs, position: head.position };
    this.end = lastOffset + 1;
    this.endPosition = head.position + bytes;
  }

  /** Throws DATA_LOSS for an offset before the start, FAILED_PRECONDITION for one beyond the end. */
  checkOffset(from: number): void {
    if (from < this.start) throw trimmedError(this, from);
    if (from <= this.end) return;
    throw new TallyringError(
      'FAILED_PRECONDITION',
      `offset ${from} is beyond the end of partition ${this.number} (${this.end}): was the log set up anew, ` +
        'or restored from an older state?',
    );
  }
}

export function trimmedError({ number, start }: Partition, from: number): TallyringError {
  return new TallyringError(
    'DATA_LOSS',
    `offset ${from} of partition ${number} is trimmed: the partition starts at ${start}`,
  );
}
