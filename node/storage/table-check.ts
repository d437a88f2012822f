import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Whether every block of a LevelDB table is what was written: LevelDB gives each a CRC-32C and, as it is bound
 * here, looks at none of them. A flipped bit in a key, a length or a sequence number is then no bad record but
 * a missing or an older one, and nothing says so; some make its own assertions abort the process.
 *
 * A table ends with a footer: handles (varint offset, varint size) of the metaindex and the index block, zeros,
 * magic. A block is followed by its type (1 byte) and masked CRC of contents and type (4 bytes).
 */

const FOOTER_BYTES = 48;
const TRAILER_BYTES = 5;
const MAGIC = 0xdb4775248b80fb57n;
const MASK_DELTA = 0xa282ead8;

interface Handle {
  offset: number;
  size: number;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc >>> 0;
});

function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = TABLE[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

function isIntact(block: Buffer): boolean {
  const stored = block.readUInt32LE(block.length - 4);
  const rotated = (stored - MASK_DELTA) >>> 0;
  const expected = ((rotated >>> 17) | (rotated << 15)) >>> 0;
  return crc32c(block.subarray(0, block.length - 4)) === expected;
}

function varint(bytes: Buffer, at: number): [value: number, next: number] {
  let value = 0;
  for (let shift = 1; at < bytes.length; shift *= 128) {
    const byte = bytes[at++]!;
    value += (byte & 0x7f) * shift;
    if (byte < 0x80) return [value, at];
  }
  throw new RangeError('varint');
}

function handleAt(bytes: Buffer, at: number): [Handle, next: number] {
  const [offset, middle] = varint(bytes, at);
  const [size, next] = varint(bytes, middle);
  return [{ offset, size }, next];
}

/** The handles that an index block's entries hold. The block is intact. */
function handlesOf(block: Buffer): Handle[] {
  const restarts = block.readUInt32LE(block.length - 4);
  const end = block.length - 4 - 4 * restarts;
  const handles: Handle[] = [];
  for (let at = 0; at < end; ) {
    const [, afterShared] = varint(block, at);
    const [keyBytes, afterKey] = varint(block, afterShared);
    const [valueBytes, start] = varint(block, afterKey);
    handles.push(handleAt(block, start + keyBytes)[0]);
    at = start + keyBytes + valueBytes;
  }
  return handles;
}

/** `unfinished`: it has no footer, as one that LevelDB is writing or was writing when it was killed. */
export type TableFault = { kind: 'unfinished' } | { kind: 'damaged'; text: string };

/** What is wrong with a table; undefined when all of it is intact. Pure. */
export function faultOfTable(bytes: Buffer): TableFault | undefined {
  if (bytes.length < FOOTER_BYTES || bytes.readBigUInt64LE(bytes.length - 8) !== MAGIC) {
    return { kind: 'unfinished' };
  }
  const block = ({ offset, size }: Handle): Buffer | undefined => {
    if (offset + size + TRAILER_BYTES > bytes.length) return undefined;
    const whole = bytes.subarray(offset, offset + size + TRAILER_BYTES);
    return isIntact(whole) ? whole.subarray(0, size) : undefined;
  };
  try {
    const footer = bytes.subarray(bytes.length - FOOTER_BYTES);
    const [meta, at] = handleAt(footer, 0);
    const [index] = handleAt(footer, at);
    // The metaindex leads to the filter, which can hide a key from a get.
    for (const list of [index, meta]) {
      const entries = block(list);
      if (entries === undefined) return { kind: 'damaged', text: 'its index is damaged' };
      for (const handle of handlesOf(entries)) {
        if (block(handle) === undefined) {
          return { kind: 'damaged', text: `its block at ${handle.offset} is damaged` };
        }
      }
    }
    return undefined;
  } catch (error) {
    if (error instanceof RangeError) return { kind: 'damaged', text: 'its footer or index is damaged' };
    throw error;
  }
}

export interface CheckedTables {
  /** Names, with what is wrong. */
  damaged: string[];
  /** Names. */
  unfinished: string[];
}

/**
 * Checks all tables of a LevelDB folder, one after the other; `rest` is awaited between them. A table that goes
 * meanwhile is passed over.
 */
export async function checkTables(folder: string, rest?: () => Promise<void>): Promise<CheckedTables> {
  const found: CheckedTables = { damaged: [], unfinished: [] };
  for (const name of (await readdir(folder)).filter((file) => /\.(ldb|sst)$/.test(file)).sort()) {
    const bytes = await readIfThere(join(folder, name));
    const fault = bytes && faultOfTable(bytes);
    if (fault?.kind === 'damaged') found.damaged.push(`${name}: ${fault.text}`);
    if (fault?.kind === 'unfinished') found.unfinished.push(name);
    await rest?.();
  }
  return found;
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
