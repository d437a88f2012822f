/** Keys of the log's store: one byte that says what it is, then big-endian numbers, so that they sort. */

const BLOCK = 0x62; // b
const DEAD_LETTER = 0x64; // d
const STATE = 0x73; // s

export const IDENTITY_KEY = Buffer.from('i');
export const TAIL_KEY = Buffer.from('t');

function pairKey(kind: number, partition: number, offset: number): Buffer {
  const key = Buffer.allocUnsafe(11);
  key.writeUInt8(kind, 0);
  key.writeUInt16BE(partition, 1);
  key.writeUInt32BE(Math.floor(offset / 0x1_0000_0000), 3);
  key.writeUInt32BE(offset % 0x1_0000_0000, 7);
  return key;
}

/** A block's key has its last offset, so that the block that holds an offset is found by one seek forward. */
export function blockKey(partition: number, lastOffset: number): Buffer {
  return pairKey(BLOCK, partition, lastOffset);
}

export function deadLetterKey(partition: number, offset: number): Buffer {
  return pairKey(DEAD_LETTER, partition, offset);
}

export const DEAD_LETTERS_END = Buffer.from([DEAD_LETTER + 1]);

export function stateKey(partition: number): Buffer {
  return pairKey(STATE, partition, 0);
}
