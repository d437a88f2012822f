import { BLOCK_OVERHEAD_BYTES, type BlockHead, encodeBlock, lastOffsetOf } from './block.js';
import { type Frame, splitFrame } from './frame.js';
import { blockKey } from './keyspace.js';
import type { Partition } from './partition.js';
import { tailWrite } from './records.js';
import type { LogWrite } from './store.js';

export interface CommitFacts {
  partitions: readonly Partition[];
  appendedAtMs: number;
  maxBlockBytes: number;
  deadLetters: number;
}

interface Run {
  partition: Partition;
  end: number;
  position: number;
  /** Of the block that is being filled. */
  count: number;
  bytes: number;
  frames: Buffer[];
}

/** One atomic batch in the making: everything that was asked of the log while the last one was synced. */
export class Commit {
  readonly writes: LogWrite[] = [];
  records = 0;
  newLetters = 0;
  readonly #facts: CommitFacts;
  readonly #runs = new Map<number, Run>();
  readonly #blocks: { head: BlockHead; bytes: number }[] = [];

  constructor(facts: CommitFacts) {
    this.#facts = facts;
  }

  /** Adds a frame behind what its partition has, and gives its first offset. */
  append(frame: Frame): number {
    const run = this.#runOf(frame.partition);
    const firstOffset = run.end;
    this.records += frame.count;
    for (const piece of splitFrame(frame, this.#facts.maxBlockBytes)) {
      if (run.count > 0 && run.bytes + piece.bytes.length > this.#facts.maxBlockBytes) this.#closeBlock(run);
      run.frames.push(piece.bytes);
      run.count += piece.count;
      run.bytes += piece.bytes.length;
      run.end += piece.count;
    }
    return firstOffset;
  }

  /** Closes the batch; what it holds is in `writes` then. */
  finish(): void {
    for (const run of this.#runs.values()) this.#closeBlock(run);
    const { partitions, deadLetters } = this.#facts;
    this.writes.push(
      tailWrite({
        ends: partitions.map(({ number, end }) => this.#runs.get(number)?.end ?? end),
        checkFrom: partitions.map(({ checkFrom }) => checkFrom),
        deadLetters: deadLetters + this.newLetters,
      }),
    );
  }

  /** Tells the partitions what is durable now; gives those that have grown. */
  publish(): Partition[] {
    const { partitions } = this.#facts;
    for (const { head, bytes } of this.#blocks) partitions[head.partition]!.grow(head, bytes);
    return [...this.#runs.keys()].map((number) => partitions[number]!);
  }

  #runOf(number: number): Run {
    const found = this.#runs.get(number);
    if (found !== undefined) return found;
    const partition = this.#facts.partitions[number]!;
    const { end, endPosition } = partition;
    const run: Run = { partition, end, position: endPosition, count: 0, bytes: 0, frames: [] };
    this.#runs.set(number, run);
    return run;
  }

  #closeBlock(run: Run): void {
    if (run.count === 0) return;
    const head: BlockHead = {
      partition: run.partition.number,
      count: run.count,
      firstOffset: run.end - run.count,
      appendedAtMs: this.#facts.appendedAtMs,
      position: run.position,
    };
    const bytes = run.bytes + BLOCK_OVERHEAD_BYTES;
    this.writes.push({
      key: blockKey(head.partition, lastOffsetOf(head)),
      value: encodeBlock(head, run.frames),
    });
    this.#blocks.push({ head, bytes });
    run.position += bytes;
    run.count = 0;
    run.bytes = 0;
    run.frames = [];
  }
}
