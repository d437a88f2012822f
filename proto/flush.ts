import type { Flush, FlushCell } from '../counter/flush.js';
import type { Int64 } from '../counter/int64.js';
import type { Series } from '../counter/series.js';
import type { Shard } from '../counter/shard.js';
import { GRANULARITY_CODE } from '../counter/window.js';
import { hash64 } from '../ports/hash.js';
import {
  CHECKSUM_BYTES,
  type Entry,
  KIND,
  PERIOD_BIAS,
  PRODUCER_ID_BYTES,
  periodOf,
  rowPrefix,
  tokenOf,
  WINDOW_BIAS,
} from './entry.js';

/**
 * Entries of a flush: byte for byte what `encodeShard(shardKey(…), shard)` makes (a property test holds it
 * to that), but a row's prefix is made once for all its windows, and key, fields and checksum are written
 * in one go into shared pages, so that the checksum is taken where they lie.
 */

/** Small, so that one entry that is kept in a cache does not hold much memory. */
const PAGE_BYTES = 16 * 1024;
/** msgpack: the array's head and five numbers of up to nine bytes. */
const MAX_FIELDS_BYTES = 1 + 5 * 9;
const TAIL_BYTES = 7 + PRODUCER_ID_BYTES;

class EntryWriter {
  #page: Buffer = Buffer.alloc(0);
  #view = new DataView(this.#page.buffer);
  #at = 0;
  #row: Buffer = this.#page;
  #series: Series | undefined;

  write(cell: FlushCell): Entry {
    const row = this.#rowOf(cell);
    const page = this.#reserve(row.length + TAIL_BYTES + MAX_FIELDS_BYTES + CHECKSUM_BYTES);
    const start = this.#at;
    page.set(row, start);
    page[start + 1] = GRANULARITY_CODE[cell.granularity];
    this.#view.setUint32(start + 2, periodOf(cell.granularity, cell.window) + PERIOD_BIAS);
    this.#at = page.writeUIntBE(cell.window + WINDOW_BIAS, start + row.length, 6);
    page[this.#at++] = KIND.shard;
    page.set(cell.producerId, this.#at);
    this.#at += PRODUCER_ID_BYTES;
    const valueAt = this.#at;
    this.#writeFields(cell.shard);
    this.#view.setBigUint64(this.#at, hash64(page.subarray(start, this.#at)));
    this.#at += CHECKSUM_BYTES;
    return { key: page.subarray(start, valueAt), value: page.subarray(valueAt, this.#at) };
  }

  /** The row's prefix with any period: rows of a series differ in granularity and period alone. */
  #rowOf(cell: FlushCell): Buffer {
    const { series, granularity } = cell;
    if (series === this.#series) return this.#row;
    const { key, eventType } = series;
    series.token ??= tokenOf(key);
    this.#series = series;
    this.#row = rowPrefix({ key, eventType, granularity }, 0, series.token);
    return this.#row;
  }

  #reserve(bytes: number): Buffer {
    if (this.#page.length - this.#at < bytes) {
      this.#page = Buffer.allocUnsafeSlow(PAGE_BYTES);
      this.#view = new DataView(this.#page.buffer);
      this.#at = 0;
    }
    return this.#page;
  }

  #writeFields(shard: Shard): void {
    this.#page[this.#at++] = 0x95; // array of 5
    this.#writeInt(shard.sequence);
    this.#writeInt(shard.count);
    this.#writeInt(shard.sum);
    this.#writeInt(shard.min);
    this.#writeInt(shard.max);
  }

  /** The shortest form, as msgpackr chooses it: beyond 32 bits a number goes as a float64, exact while safe. */
  #writeInt(value: Int64 | null): void {
    if (typeof value === 'number' && value >= 0 && value < 0x1_0000_0000) this.#writeUint(value);
    else if (typeof value === 'number') this.#writeNumber(value);
    else if (value === null) this.#page[this.#at++] = 0xc0;
    else {
      this.#page[this.#at] = 0xd3;
      this.#view.setBigInt64(this.#at + 1, value);
      this.#at += 9;
    }
  }

  #writeUint(value: number): void {
    if (value < 0x80) {
      this.#page[this.#at++] = value;
    } else if (value < 0x100) {
      this.#page[this.#at] = 0xcc;
      this.#page[this.#at + 1] = value;
      this.#at += 2;
    } else if (value < 0x1_0000) {
      this.#page[this.#at] = 0xcd;
      this.#view.setUint16(this.#at + 1, value);
      this.#at += 3;
    } else {
      this.#page[this.#at] = 0xce;
      this.#view.setUint32(this.#at + 1, value);
      this.#at += 5;
    }
  }

  /** Negative, or beyond 32 bits. */
  #writeNumber(value: number): void {
    if (value >= 0 || value < -0x8000_0000) {
      this.#page[this.#at] = 0xcb;
      this.#view.setFloat64(this.#at + 1, value);
      this.#at += 9;
    } else if (value >= -0x20) {
      this.#page[this.#at++] = value + 0x100;
    } else if (value >= -0x80) {
      this.#page[this.#at] = 0xd0;
      this.#view.setInt8(this.#at + 1, value);
      this.#at += 2;
    } else if (value >= -0x8000) {
      this.#page[this.#at] = 0xd1;
      this.#view.setInt16(this.#at + 1, value);
      this.#at += 3;
    } else {
      this.#page[this.#at] = 0xd2;
      this.#view.setInt32(this.#at + 1, value);
      this.#at += 5;
    }
  }
}

/** The entries of a flush's cells, in the same order. Fills the token of each series. */
export function encodeFlush(flush: Flush): Entry[] {
  const writer = new EntryWriter();
  const entries: Entry[] = new Array(flush.cells.length);
  for (let i = 0; i < flush.cells.length; i++) entries[i] = writer.write(flush.cells[i]!);
  return entries;
}
