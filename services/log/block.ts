import { hash64 } from '../../ports/hash.js';
import { TallyringError } from '../../proto/errors.js';
import { LENGTH_BYTES } from './frame.js';
import type { LogRecord } from './log.js';

/**
 * Records of one partition that were appended together, as they lie on disk and travel to readers:
 *
 *   0  uint8   format, 1           16  uint64  appendedAtMs
 *   2  uint16  partition           24  uint64  bytes of the partition's blocks before this one, ever
 *   4  uint32  count               32  the records (frame.ts)
 *   8  uint64  first offset        …   uint64  xxhash64 of all before
 *
 * All little endian. Its key (keyspace.ts) follows from the header, so the checksum covers it too.
 */
export interface BlockHead {
  partition: number;
  count: number;
  firstOffset: number;
  appendedAtMs: number;
  position: number;
}

export const BLOCK_FORMAT = 1;
const HEAD_BYTES = 32;
const CHECKSUM_BYTES = 8;
export const BLOCK_OVERHEAD_BYTES = HEAD_BYTES + CHECKSUM_BYTES;

export function encodeBlock(head: BlockHead, frames: readonly Buffer[]): Buffer {
  let size = HEAD_BYTES + CHECKSUM_BYTES;
  for (const frame of frames) size += frame.length;
  const block = Buffer.allocUnsafe(size);
  block.writeUInt8(BLOCK_FORMAT, 0);
  block.writeUInt8(0, 1);
  block.writeUInt16LE(head.partition, 2);
  block.writeUInt32LE(head.count, 4);
  block.writeBigUInt64LE(BigInt(head.firstOffset), 8);
  block.writeBigUInt64LE(BigInt(head.appendedAtMs), 16);
  block.writeBigUInt64LE(BigInt(head.position), 24);
  let at = HEAD_BYTES;
  for (const frame of frames) at += frame.copy(block, at);
  block.writeBigUInt64LE(hash64(block.subarray(0, at)), at);
  return block;
}

/** The head of a block whose checksum is right. Throws DATA_LOSS, or UNSUPPORTED_FORMAT for a newer format. */
export function checkBlock(block: Buffer): BlockHead {
  const end = block.length - CHECKSUM_BYTES;
  if (end < HEAD_BYTES || block.readBigUInt64LE(end) !== hash64(block.subarray(0, end))) {
    throw new TallyringError('DATA_LOSS', 'a block of the log is damaged: its checksum is wrong');
  }
  if (block[0] !== BLOCK_FORMAT) {
    const text = `the log has blocks of format ${block[0]}, this software knows ${BLOCK_FORMAT}: upgrade it`;
    throw new TallyringError('UNSUPPORTED_FORMAT', text);
  }
  return {
    partition: block.readUInt16LE(2),
    count: block.readUInt32LE(4),
    firstOffset: Number(block.readBigUInt64LE(8)),
    appendedAtMs: Number(block.readBigUInt64LE(16)),
    position: Number(block.readBigUInt64LE(24)),
  };
}

export function lastOffsetOf({ firstOffset, count }: BlockHead): number {
  return firstOffset + count - 1;
}

/** The records from an offset on, in blocks of a partition: at most `maxBytes` of them, one at least. */
export function recordsOf(
  blocks: readonly Buffer[],
  page: { partition: number; from: number; maxBytes: number },
): LogRecord[] {
  const records: LogRecord[] = [];
  let expected: number | undefined;
  let left = page.maxBytes;
  for (const block of blocks) {
    const head = checkBlock(block);
    const { firstOffset, appendedAtMs, count } = head;
    // The first block may begin before the offset that was asked for, never behind it.
    const fits = expected === undefined ? firstOffset <= page.from : firstOffset === expected;
    if (head.partition !== page.partition || !fits) throw gapError(page.partition, expected ?? page.from);
    expected = firstOffset + count;
    let at = HEAD_BYTES;
    for (let offset = firstOffset; offset < expected; offset++) {
      const start = at + LENGTH_BYTES;
      at = start + block.readUInt32LE(at);
      if (offset < page.from) continue;
      left -= at - start;
      if (left < 0 && records.length > 0) return records;
      records.push({ offset, appendedAtMs, payload: block.subarray(start, at) });
    }
  }
  return records;
}

export function gapError(partition: number, offset: number): TallyringError {
  return new TallyringError(
    'DATA_LOSS',
    `partition ${partition} of the log lacks records from offset ${offset} on: restore the log's folder from a ` +
      'backup, or set up a new log and count anew what was lost',
  );
}
