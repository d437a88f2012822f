import type { BlockHead } from './block.js';
import { lastOffsetOf } from './block.js';

export interface StoredBlock {
  head: BlockHead;
  bytes: number;
}

export interface RetentionFacts {
  released: number;
  end: number;
  nowMs: number;
  ageMs: number;
  /** Bytes that should go whatever their age. */
  excessBytes: number;
}

/**
 * How many of a partition's oldest blocks may go. Never one that holds a record that is not released, nor the
 * last one: where the partition ends, and the time that must not fall, are read from it.
 */
export function blocksToDrop(blocks: readonly StoredBlock[], facts: RetentionFacts): number {
  let excess = facts.excessBytes;
  for (let i = 0; i < blocks.length; i++) {
    const { head, bytes } = blocks[i]!;
    const next = lastOffsetOf(head) + 1;
    const aged = head.appendedAtMs + facts.ageMs <= facts.nowMs;
    if (next > facts.released || next >= facts.end || (!aged && excess <= 0)) return i;
    excess -= bytes;
  }
  return blocks.length;
}

/** Size from which on the oldest blocks go, so that there is room before appends are refused. */
export function trimAboveBytes(maxBytes: number): number {
  return maxBytes - maxBytes / 8;
}
