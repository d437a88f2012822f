import { TallyringError } from '../../proto/errors.js';

/**
 * A run of records as bytes, on the wire and on disk: for each record its length (uint32, little endian) and its
 * bytes. The log copies frames and never looks into a record, so whatever is in one cannot break its neighbours.
 */
export interface Frame {
  partition: number;
  count: number;
  bytes: Buffer;
}

export const LENGTH_BYTES = 4;

export function encodeFrame(partition: number, records: readonly Buffer[]): Frame {
  let size = 0;
  for (const record of records) size += LENGTH_BYTES + record.length;
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const record of records) {
    at = bytes.writeUInt32LE(record.length, at);
    at += record.copy(bytes, at);
  }
  return { partition, count: records.length, bytes };
}

/** Refuses with INVALID_ARGUMENT what is not exactly `count` records, none of them over the limit. */
export function checkFrame({ count, bytes }: Frame, maxRecordBytes: number): void {
  let found = 0;
  let at = 0;
  while (at + LENGTH_BYTES <= bytes.length) {
    const length = bytes.readUInt32LE(at);
    if (length > maxRecordBytes) {
      const text = `a record of ${length} bytes is over the log's maxRecordBytes (${maxRecordBytes})`;
      throw new TallyringError('INVALID_ARGUMENT', text);
    }
    at += LENGTH_BYTES + length;
    found++;
  }
  if (at === bytes.length && found === count) return;
  const what = at === bytes.length ? `${found} records, not ${count}` : 'a record that is cut short';
  throw new TallyringError('INVALID_ARGUMENT', `the records of an append hold ${what}`);
}

/** Refuses with INVALID_ARGUMENT an append that is larger than the log takes. */
export function checkAppendSize(bytes: number, maxAppendBytes: number): void {
  if (bytes <= maxAppendBytes) return;
  const text = `an append of ${bytes} bytes is over the log's maxAppendBytes (${maxAppendBytes}): send fewer records`;
  throw new TallyringError('INVALID_ARGUMENT', text);
}

/** Cuts a frame into pieces of at most `maxBytes`, each of one record at least. */
export function splitFrame(frame: Frame, maxBytes: number): Frame[] {
  if (frame.bytes.length <= maxBytes) return [frame];
  const { partition, bytes } = frame;
  const pieces: Frame[] = [];
  let from = 0;
  let count = 0;
  for (let at = 0; at < bytes.length; ) {
    const next = at + LENGTH_BYTES + bytes.readUInt32LE(at);
    if (count > 0 && next - from > maxBytes) {
      pieces.push({ partition, count, bytes: bytes.subarray(from, at) });
      from = at;
      count = 0;
    }
    at = next;
    count++;
  }
  pieces.push({ partition, count, bytes: bytes.subarray(from) });
  return pieces;
}
