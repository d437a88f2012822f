import { newestRule } from './checkpoint.js';
import { type Correction, flushOf } from './correction.js';
import { completeShard, LogProducer } from './log-producer.js';
import { beginAt, type OwnerContext } from './owner-context.js';
import { persist } from './record-reader.js';

/**
 * Completes the batch that the predecessor intended and perhaps flushed in part: reads exactly its records, reads
 * its producer's shards at QUORUM, and writes under the same id and sequence what the predecessor wrote or would
 * have written.
 */
export async function recoverPending<R>(context: OwnerContext<R>): Promise<void> {
  const { writer, store, waiting } = context;
  const checkpoint = writer.next;
  const { committed, end, producerId } = checkpoint;
  if (end === undefined || producerId === null) return;
  const { run, reader } = await beginAt(context, newestRule(checkpoint), committed);
  // Its cells are those of one batch, which the predecessor bounded.
  const part = new LogProducer({ rollups: store.rollups, producerId, maxCells: Number.MAX_SAFE_INTEGER });
  for await (const { offset, record } of reader.upTo(end)) {
    const counted = run.count(offset, record);
    if (counted !== undefined) part.add(counted);
  }
  const settle = run.cut?.();
  const flush = part.cut(end);
  if (flush !== undefined) {
    const held = await store.readShards(flush.cells, producerId, waiting);
    for (const [i, cell] of flush.cells.entries()) cell.shard = completeShard(held[i], cell, end);
    await store.write(flush, waiting, 0);
  }
  if (settle !== undefined) await persist({ ...context.ports, waiting }, () => settle(waiting));
  await writer.write({ committed: end, end: undefined });
}

/** Writes a correction that the checkpoint names: all of it, whatever of it stands already. */
export async function completeCorrection<R>({ writer, store, waiting }: OwnerContext<R>): Promise<void> {
  const { correction } = writer.next;
  if (correction === undefined) return;
  await store.write(flushOf(correction), waiting, 0);
  await writer.write({ correction: undefined });
}

/** Names corrections one after the other, and writes each: no cell stands in two of them. */
export async function writeCorrections<R>(
  { writer, store, waiting }: OwnerContext<R>,
  corrections: readonly Correction[],
): Promise<void> {
  for (const correction of corrections) {
    await writer.write({ correction });
    await store.write(flushOf(correction), waiting, 0);
  }
  await writer.write({ correction: undefined });
}
